/** What `--rejects` may name, as a process, against a real PostgreSQL. */

import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useCli, type CliResult } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();
const LOADED = { code: 3, stdout: '', stderr: '' };

let folders = 0;

/** A fresh folder with an input of which one row is bad, and a table for it. */
async function prepared() {
  folders += 1;
  const folder = path.join(cli.directory, String(folders));
  await mkdir(folder);
  const input = path.join(folder, 'x.csv');
  await writeFile(input, 'a\n1\nbad\n2\n');
  return { folder, input, table: await database.table('a int') };
}

const load = (table: string, input: string, rejects: string, ...flags: string[]): Promise<CliResult> =>
  cli.run(['load', '-q', '-t', table, input, '--rejects', rejects, ...flags], {
    env: { DATABASE_URL: database.url },
  });

/** The same under a shell, which opens pipes and descriptors. */
function shell(script: string, ...args: string[]): CliResult {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script, process.execPath, cli.main, ...args], {
    cwd: cli.directory,
    env: { ...process.env, DATABASE_URL: database.url },
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { code: status, stdout, stderr };
}

const countOf = async (table: string) =>
  Number((await database.query(`SELECT count(*) AS n FROM ${table}`))[0]!['n']);

describe('a symbolic link', () => {
  it.each([
    ['to a file', 'victim'],
    ['to nothing', 'missing'],
    ['to a folder', '.'],
    ['to /dev/null', '/dev/null'],
    ['to itself', 'link'],
  ])('%s is refused by name, and its target stays as it is', async (_, target) => {
    const { folder, input, table } = await prepared();
    const name = path.join(folder, 'link');
    await writeFile(path.join(folder, 'victim'), 'precious\n');
    await symlink(target, name);
    const before = await readdir(folder);
    expect(await load(table, input, name, '--truncate')).toEqual({
      code: 1,
      stdout: '',
      stderr: `spillway: --rejects ${name}: is a symbolic link, and links are not followed; name the file itself\n`,
    });
    expect(await readFile(path.join(folder, 'victim'), 'utf8')).toBe('precious\n');
    expect(await readdir(folder)).toEqual(before);
    expect((await lstat(name)).isSymbolicLink()).toBe(true);
  });

  it('in the folders of a path is followed', async () => {
    const { folder, input, table } = await prepared();
    await mkdir(path.join(folder, 'real'));
    await symlink('real', path.join(folder, 'way'));
    expect(await load(table, input, path.join(folder, 'way', 'bad'))).toEqual(LOADED);
    expect(await readFile(path.join(folder, 'real', 'bad'), 'utf8')).toMatch(/"line":3/);
  });
});

describe('a file', () => {
  it('a file of rejects with several names keeps its contents under the others, also with a long name', async () => {
    const { folder, input, table } = await prepared();
    const name = path.join(folder, 'b'.repeat(255));
    await writeFile(name, 'precious\n');
    await link(name, path.join(folder, 'other'));
    expect(await load(table, input, name)).toEqual(LOADED);
    expect(await readFile(path.join(folder, 'other'), 'utf8')).toBe('precious\n');
    expect(await readFile(name, 'utf8')).toMatch(/^\{.*"line":3.*\}\n$/);
    expect((await lstat(name)).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).toSorted()).toEqual(['b'.repeat(255), 'other', 'x.csv']);
  });

  it('the file that is loaded is refused as the file of rejects, under every name', async () => {
    const { folder, input, table } = await prepared();
    await link(input, path.join(folder, 'hard'));
    await symlink(input, path.join(folder, 'soft'));
    const names = [
      input,
      path.join(folder, '.', '..', path.basename(folder), 'x.csv'),
      path.join(folder, 'hard'),
    ];
    for (const name of [...names, path.join(folder, 'soft')]) {
      const result = await load(table, input, name);
      expect(result.code).toBeGreaterThan(0);
      expect(result.stderr).toMatch(/which is to be loaded|names a file that is to be loaded/);
    }
    expect(await readFile(input, 'utf8')).toBe('a\n1\nbad\n2\n');
    const standard = shell(`"$0" "$1" load -q -t ${table} - --format csv --rejects ${input} < ${input}`);
    expect(standard.stderr).toMatch(/is standard input, which is to be loaded/);
  });

  it('the file that standard output or standard error goes to is refused by its name, and written to by its descriptor', async () => {
    const { folder, input, table } = await prepared();
    const name = path.join(folder, 'out');
    for (const [redirect, words] of [
      [`> ${name}`, 'is standard output; give /dev/stdout'],
      [`2> ${name}`, 'is standard error; give /dev/stderr'],
    ] as const) {
      const result = shell(`"$0" "$1" load -t ${table} ${input} --rejects ${name} ${redirect}`);
      expect(`${result.stderr}${readFileSync(name, 'utf8')}`).toContain(words);
    }
    await writeFile(name, 'before\n');
    const result = shell(`"$0" "$1" load -t ${table} ${input} --rejects /dev/stderr 2>> ${name}`);
    expect(result).toEqual(LOADED);
    const lines = (await readFile(name, 'utf8')).split('\n');
    expect(lines[0]).toBe('before');
    expect(JSON.parse(lines[1]!)).toMatchObject({ line: 3 });
    expect(lines[2]).toMatch(/^2 rows into/);
  });

  it('whose path may not be looked at is reported, and is not taken for missing', async () => {
    const { folder, table } = await prepared();
    const closed = await mkdtemp(path.join(os.tmpdir(), 'spillway-closed-'));
    try {
      await chmod(closed, 0o000);
      const asNobody = cli.run(
        ['load', '-q', '-t', table, '-', '--format', 'csv', '--rejects', path.join(closed, 'bad')],
        {
          env: { DATABASE_URL: database.url },
          stdin: 'a\n1\n',
          cwd: '/',
          ...(process.getuid?.() === 0 ? { uid: 65534 } : {}),
        },
      );
      expect((await asNobody).stderr).toMatch(/--rejects .*: cannot be written: permission denied\n$/);
    } finally {
      await chmod(closed, 0o700);
      await rm(closed, { recursive: true });
    }
    expect(await readdir(folder)).toEqual(['x.csv']);
  });
});

describe('what is no file', () => {
  it('is refused clearly: a folder, a socket, a name that ends with a slash, a descriptor that is not open', async () => {
    const { folder, input, table } = await prepared();
    const server = createServer();
    const socket = path.join(folder, 's');
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    for (const [name, words] of [
      [folder, 'is a directory, not a file'],
      [socket, 'is a socket, not a file'],
      [path.join(folder, 'new/'), 'names a folder, not a file'],
      ['/dev/fd/99', 'cannot be written: no such descriptor is open for writing'],
      ['/dev/stdin', 'is standard input'],
    ] as const) {
      const result = await load(table, input, name);
      expect(result).toEqual({ code: 1, stdout: '', stderr: `spillway: --rejects ${name}: ${words}\n` });
    }
    const json = await load(table, input, '/dev/stdout', '--json');
    expect(json.stderr).toBe('spillway: --rejects /dev/stdout: is standard output, which is for --json\n');
    server.close();
    expect(await countOf(table)).toBe(0);
  });

  it('works as a descriptor: process substitution, standard output and error, and one of the shell’s', async () => {
    const { folder, input, table } = await prepared();
    const args = `"$0" "$1" load -q -t ${table} ${input} --rejects`;
    expect(
      shell(
        `${args} >(cat > ${folder}/substituted; echo end >> ${folder}/substituted); e=$?; sleep 0.3; exit $e`,
      ),
    ).toEqual(LOADED);
    expect(await readFile(path.join(folder, 'substituted'), 'utf8')).toMatch(/^\{.*"line":3.*\}\nend\n$/);
    for (const [target, stream] of [
      ['/dev/stdout', 'stdout'],
      ['/dev/stderr', 'stderr'],
      ['/dev/fd/1', 'stdout'],
      ['/proc/self/fd/2', 'stderr'],
    ] as const) {
      const result = shell(`${args} ${target}`);
      expect(result.code).toBe(3);
      expect(JSON.parse(result[stream])).toMatchObject({ line: 3 });
    }
    expect(shell(`echo first > ${folder}/f; exec 5>> ${folder}/f; ${args} /dev/fd/5`)).toEqual(LOADED);
    expect(await readFile(path.join(folder, 'f'), 'utf8')).toMatch(/^first\n\{.*\}\n$/);
    expect(shell(`${args} /dev/null`)).toEqual(LOADED);
  });

  it('is refused at once as a named pipe without a reader, before the table is emptied', async () => {
    const { folder, input, table } = await prepared();
    await database.query(`INSERT INTO ${table} VALUES (7)`);
    const pipe = path.join(folder, 'pipe');
    spawnSync('mkfifo', [pipe]);
    for (const flags of [[], ['--import', 'x']]) {
      const result = await load(table, input, pipe, '--truncate', ...flags);
      expect(result.stderr).toBe(
        `spillway: --rejects ${pipe}: is a named pipe that nobody reads; start its reader first\n`,
      );
      expect(await countOf(table)).toBe(1);
    }
  });

  it('is refused at once as a descriptor that is open for reading only, before the table is emptied', async () => {
    const { folder, input, table } = await prepared();
    await database.query(`INSERT INTO ${table} VALUES (7)`);
    const command = `node ${cli.main} load -q -t ${table} ${input} --truncate --rejects /dev/fd/3 3< ${path.join(folder, 'read')}`;
    await writeFile(path.join(folder, 'read'), '');
    const result = spawnSync('sh', ['-c', command], {
      encoding: 'utf8',
      env: { ...process.env, DATABASE_URL: database.url },
    });
    expect(result.stderr).toBe(
      'spillway: --rejects /dev/fd/3: is open for reading only; open it for writing, as in 3>file\n',
    );
    expect(await countOf(table)).toBe(1);
  });

  it('works as a named pipe with a reader, and says so when the reader goes', async () => {
    const { folder, input, table } = await prepared();
    const pipe = path.join(folder, 'pipe');
    spawnSync('mkfifo', [pipe]);
    const reader = spawn('cat', [pipe]);
    let text = '';
    reader.stdout.on('data', (data: Buffer) => (text += data.toString()));
    const ended = new Promise((resolve) => reader.on('close', resolve));
    expect(await load(table, input, pipe)).toEqual(LOADED);
    await ended;
    expect(JSON.parse(text)).toMatchObject({ line: 3, message: expect.stringContaining('bad') as string });
    const many = path.join(folder, 'many.csv');
    await writeFile(many, `a\n${'bad\n'.repeat(20_000)}`);
    const fd = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    const running = cli.start(['load', '-q', '-t', table, many, '--rejects', pipe], {
      env: { DATABASE_URL: database.url },
    });
    setTimeout(() => closeSync(fd), 1500);
    const result = await running.result;
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/--rejects .*pipe: cannot be written: its reader has gone/);
  });
});

describe('rejects with --import', () => {
  it('hold all rejects of the import, in a new file', async () => {
    const { folder, input, table } = await prepared();
    const name = path.join(folder, 'bad');
    expect(await load(table, input, name, '--import', `x${folders}`)).toEqual(LOADED);
    const first = await readFile(name, 'utf8');
    await writeFile(name, 'something else\n');
    expect(await load(table, input, name, '--import', `x${folders}`)).toEqual(LOADED);
    expect(await readFile(name, 'utf8')).toBe(first);
  });
});
