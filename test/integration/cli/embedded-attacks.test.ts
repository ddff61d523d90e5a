/** What somebody else may have prepared for the embedded server. Most of it can be tried by root only. */

import { spawn } from 'node:child_process';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findEmbeddedBinaries } from '../../../src/cli/server/embedded/embedded-binaries.js';
import { openLog, readPidFile } from '../../../src/cli/server/embedded/embedded-process.js';
import { startEmbeddedServer } from '../../../src/cli/server/embedded/embedded-server.js';
import { findStrayLink, findUntrusted } from '../../../src/cli/server/embedded/embedded-trust.js';
import { useCli } from '../../support/cli.js';
import { MESSAGES } from '../../support/server-bytes.js';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
const cli = useCli();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'embedded-attacks-'));
  await chmod(folder, 0o755);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Takes connections, asks for the password in clear, and keeps what it gets. */
async function startImpostor() {
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received.push(chunk);
      socket.write(MESSAGES.CleartextPassword);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { server, port, received: () => Buffer.concat(received).toString('latin1') };
}

describe('an impostor on the port of a server that has crashed', () => {
  test('is not taken for the server, and gets no password', async () => {
    const data = path.join(folder, 'crashed');
    const first = await startEmbeddedServer({ persistent: true, dataDirectory: data });
    await first.stop();
    const impostor = await startImpostor();
    // As a crash leaves it; the number belongs to another process meanwhile.
    const lines = [
      process.pid,
      path.join(first.directory, 'data'),
      0,
      impostor.port,
      '',
      '127.0.0.1',
      '0',
      'ready',
    ];
    const file = path.join(first.directory, 'data', 'postmaster.pid');
    await writeFile(file, `${lines.join('\n')}\n`);
    const { uid, gid } = await stat(path.join(first.directory, 'data'));
    await chown(file, uid, gid);
    const { stdout, stderr } = await cli.run([
      'query',
      '--to',
      `embedded:${data}`,
      'SELECT 40 + 2 AS n',
      '--json',
    ]);
    impostor.server.close();
    // Run by an ordinary user, the server itself refuses to start over a process of the same user.
    if (isRoot) expect({ stdout, stderr }).toEqual({ stdout: '{"n":42}\n', stderr: '' });
    expect(impostor.received()).not.toContain(first.password);
  });

  test('gets no password either if its process cannot be told from the server', async () => {
    const impostor = await startImpostor();
    const url = `postgres://postgres:secret@127.0.0.1:${impostor.port}/postgres?require_auth=scram-sha-256`;
    const { code, stderr } = await cli.run(['query', '--to', url, 'SELECT 1']);
    impostor.server.close();
    expect(code).toBe(1);
    expect(stderr).toContain('require_auth');
    expect(impostor.received()).not.toContain('secret');
  });
});

describe.runIf(isRoot)('the folder of a temporary server', () => {
  test('links that the server’s user puts into it lead root to no other file', async () => {
    const target = path.join(folder, 'precious');
    await writeFile(target, 'precious', { mode: 0o600 });
    const probe = await startEmbeddedServer();
    const { uid, gid } = await stat(path.join(probe.directory, 'data'));
    await probe.stop();
    const plant = `while :; do for d in "$1"/spillway-embedded-*; do for f in server.log password-for-initdb password; do
      rm -f "$d/$f"; ln -s "$2" "$d/$f"; done; done; done 2>/dev/null`;
    const attacker = spawn('/bin/sh', ['-c', plant, 'attacker', os.tmpdir(), target], {
      uid,
      gid,
      stdio: 'ignore',
    });
    try {
      const server = await startEmbeddedServer();
      await server.stop();
      await expect(startEmbeddedServer({ settings: { shared_buffers: 'much' } })).rejects.toThrow(
        'shared_buffers',
      );
    } finally {
      attacker.kill('SIGKILL');
    }
    expect(await readFile(target, 'utf8')).toBe('precious');
    expect(await stat(target)).toMatchObject({ uid: 0, mode: 0o100600 });
  });

  test('what runs that were killed left behind is gone after the next start, and nothing behind its links', async () => {
    const probe = await startEmbeddedServer();
    const { uid, gid } = await stat(path.join(probe.directory, 'data'));
    await probe.stop();
    const kept = path.join(folder, 'kept');
    await mkdir(kept);
    await writeFile(path.join(kept, 'file'), 'kept');
    const left = path.join(os.tmpdir(), 'spillway-embedded-4194305-abcdef');
    await mkdir(left);
    await symlink(kept, path.join(left, 'data'));
    await writeFile(path.join(left, 'password-for-initdb'), 'secret');
    await chown(left, uid, gid);
    await (await startEmbeddedServer()).stop();
    expect(
      (await readdir(os.tmpdir())).filter((name) => name.startsWith('spillway-embedded-4194305')),
    ).toEqual([]);
    expect(await readFile(path.join(kept, 'file'), 'utf8')).toBe('kept');
  });
});

test('a log that is a link is not opened', async () => {
  const directory = await mkdtemp(path.join(folder, 'log-'));
  await symlink(path.join(folder, 'elsewhere'), path.join(directory, 'server.log'));
  await expect(openLog(directory)).rejects.toMatchObject({ code: 'ELOOP' });
});

test('a postmaster.pid that is a link or a named pipe is not read', async () => {
  const directory = await mkdtemp(path.join(folder, 'pid-'));
  await symlink('/dev/zero', path.join(directory, 'postmaster.pid'));
  expect(await readPidFile(directory)).toBeUndefined();
  await rm(path.join(directory, 'postmaster.pid'));
  await once(spawn('mkfifo', [path.join(directory, 'postmaster.pid')]), 'close');
  expect(await readPidFile(directory)).toBeUndefined();
});

describe.runIf(isRoot)('a persistent server’s folder, for root', () => {
  test('is refused below a folder of another user', async () => {
    const foreign = await mkdtemp(path.join(folder, 'foreign-'));
    await chown(foreign, NOBODY, NOBODY);
    const options = { persistent: true, dataDirectory: path.join(foreign, 'db') };
    await expect(startEmbeddedServer(options)).rejects.toMatchObject({
      code: 'ERR_SPILLWAY_EMBEDDED_FAILED',
      message: expect.stringContaining(`${foreign} belongs to another user`) as string,
    });
  });

  test('is refused below one where others may write', async () => {
    const open = await mkdtemp(path.join(folder, 'open-'));
    await chmod(open, 0o777);
    expect(await findUntrusted(path.join(open, 'db'))).toBe(open);
    await chmod(open, 0o1777);
    expect(await findUntrusted(path.join(open, 'db'))).toBeUndefined();
  });

  test('an ordinary user has a server of its own', async () => {
    const own = await mkdtemp(path.join(folder, 'own-'));
    await chown(own, NOBODY, NOBODY);
    const run = { uid: NOBODY, env: { HOME: own }, cwd: own };
    const { stdout, stderr } = await cli.run(
      ['query', '--to', `embedded:${own}/db`, '--json', 'SELECT 1 AS n'],
      run,
    );
    expect({ stdout, stderr }).toEqual({ stdout: '{"n":1}\n', stderr: '' });
  });
});

describe('the server’s programs', () => {
  test('are not taken from the current folder', async () => {
    const planted = path.join(folder, 'node_modules', 'planted-postgres');
    await mkdir(planted, { recursive: true });
    await writeFile(path.join(planted, 'package.json'), '{"name":"planted-postgres","main":"index.js"}');
    await writeFile(path.join(planted, 'index.js'), '');
    const before = process.cwd();
    process.chdir(folder);
    try {
      await expect(findEmbeddedBinaries(folder, undefined, 'planted-postgres')).rejects.toMatchObject({
        code: 'ERR_SPILLWAY_EMBEDDED_MISSING',
        message: expect.stringContaining('beside spillway') as string,
      });
    } finally {
      process.chdir(before);
    }
  });

  test('a link that leads out of the package is found, directly or by another link', async () => {
    const root = await mkdtemp(path.join(folder, 'package-'));
    await mkdir(path.join(root, 'lib'));
    await writeFile(path.join(root, 'lib', 'libpq.so.5.18'), '');
    await symlink('libpq.so.5.18', path.join(root, 'lib', 'libpq.so'));
    expect(await findStrayLink(root)).toBeUndefined();
    await symlink('/bin', path.join(root, 'bin'));
    expect(await findStrayLink(root)).toBe(path.join(root, 'bin'));
    await rm(path.join(root, 'bin'));
    await symlink('../../elsewhere', path.join(root, 'lib', 'libssl.so'));
    expect(await findStrayLink(root)).toBe(path.join(root, 'lib', 'libssl.so'));
  });

  test.runIf(process.platform === 'linux')('get nothing of the caller’s environment but PATH', async () => {
    process.env['SECRET_OF_THE_CALLER'] = 'secret';
    const server = await startEmbeddedServer();
    delete process.env['SECRET_OF_THE_CALLER'];
    const state = await readPidFile(path.join(server.directory, 'data'));
    const environment = await readFile(`/proc/${state!.pid}/environ`, 'utf8');
    await server.stop();
    const names = environment.split('\0').map((entry) => entry.split('=')[0]);
    expect(
      names.filter(
        (name) => name !== '' && !['PATH', 'LC_ALL', 'TZ', 'PWD', 'OLDPWD', 'SHLVL', '_'].includes(name!),
      ),
    ).toEqual([]);
  });
});
