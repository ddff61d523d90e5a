/** `spillway consume --report`: what the page says, when it is written, and what the flag refuses. Also a Ctrl-C during `load --report`. */

import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { useConsume } from '../../support/consume-cli.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();

describe.skipIf(noNatsServer)(`consume --report (${noNatsServer ?? 'on servers of its own'})`, () => {
  const nats = useConsume(database);
  const report = (name: string): string => path.join(nats.cli.directory, name);
  const jsonOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Record<string, unknown>;
  const argsOf = (stream: string, table: string, file: string): string[] => [
    ...['--stream', stream, '--table', table, '--import', table, '--report', file],
  ];

  test('has what a worker has done, its settings as flags, and nothing secret', async () => {
    const [stream, table] = [await nats.streams.make(), await database.table('id int CHECK (id < 90)')];
    await nats.streams.publish(
      stream,
      range(100).map((id) => ({ id })),
    );
    const file = report('done.html');
    const args = [...argsOf(stream, table, file), '--batch-size', '20', '--lease', '20s', '--json'];
    const result = await nats.consume(args);
    const url = new URL(database.url);
    expect(result.stderr).toContain(`report: ${file}`);
    expect(jsonOf(result)).toMatchObject({ rows: 90, deadLetters: 10, reportFile: file, exitCode: 3 });
    const html = await readFile(file, 'utf8');
    expect(html.trim().endsWith('</html>')).toBe(true);
    expect(html).toContain(`<p class="status warn">Caught up: 90 rows into`);
    expect(html).toMatch(/Dead letters, by cause[\s\S]*23514/);
    expect(html).toMatch(/Flush latency of the whole time/);
    expect(html).toMatch(/<th scope="row"\s*>--lease<\/th>\s*<td>20 s<\/td>/);
    expect(html).toMatch(/<th scope="row"\s*>--until-caught-up<\/th>\s*<td>yes<\/td>/);
    expect(html).not.toContain(url.password || 'no password is used');
    expect(html).not.toMatch(/<script|NaN|undefined/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('is written as a whole after %s', async (signal) => {
    const [stream, table] = [await nats.streams.make(), await database.table('id int')];
    await nats.streams.publish(
      stream,
      range(50).map((id) => ({ id })),
    );
    const file = report(`${signal}.html`);
    const { child, result } = nats.start([...argsOf(stream, table, file), '--json']);
    await expect.poll(() => database.query(`SELECT id FROM ${table}`), { timeout: 20_000 }).toHaveLength(50);
    expect(existsSync(file)).toBe(false);
    child.kill(signal);
    expect(jsonOf(await result)).toMatchObject({
      rows: 50,
      stoppedBy: signal,
      reportFile: file,
      exitCode: 0,
    });
    const html = await readFile(file, 'utf8');
    expect(html).toContain(`<p class="status good">Stopped by ${signal}: 50 rows into`);
    expect(html).toContain('Behind the log');
    expect(html.trim().endsWith('</html>')).toBe(true);
  });

  test('is written of a worker that fails, before its first message and after it', async () => {
    const stream = await nats.streams.make();
    await nats.streams.publish(stream, [{ id: 1 }, { id: 'x' }]);
    const file = report('failed.html');
    const early = await nats.consume(argsOf(stream, 'nowhere', file));
    expect(early.code).toBe(1);
    expect(await readFile(file, 'utf8')).toContain('<p class="status bad">Failed before its first message: ');
    const table = await database.table('id int');
    const late = await nats.consume([...argsOf(stream, table, file), '--max-rejects', '0']);
    expect(late.code).toBe(1);
    const html = await readFile(file, 'utf8');
    expect(html).toContain('<p class="status bad">Failed: ');
    expect(html.trim().endsWith('</html>')).toBe(true);
  });

  test('is refused if its file cannot be written, and nothing is loaded', async () => {
    const [stream, table] = [await nats.streams.make(), await database.table('id int')];
    await nats.streams.publish(stream, [{ id: 1 }]);
    const missing = await nats.consume(argsOf(stream, table, report('no/such/folder.html')));
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('its folder does not exist');
    const taken = await nats.consume([...argsOf(stream, table, '/dev/stdout'), '--json']);
    expect(taken.stderr).toContain('is standard output, which is for --json');
    expect(await database.query(`SELECT * FROM ${table}`)).toEqual([]);
  });

  test('of a load that Ctrl-C stops in the middle is whole, too', async () => {
    const table = await database.table('id int');
    const input = report('long.csv');
    await writeFile(input, `id\n${range(50_000).join('\n')}\n`);
    const file = report('stopped.html');
    const locker = await database.pool().connect();
    await locker.query(`BEGIN; LOCK TABLE ${table} IN SHARE MODE`);
    const args = ['load', input, '--table', table, '--batch-size', '1000', '--report', file, '--json'];
    const { child, result } = nats.cli.start(args, { env: { DATABASE_URL: database.url } });
    const waits = () =>
      database.query(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE '%COPY%'",
      );
    await expect.poll(waits, { timeout: 20_000 }).not.toEqual([]);
    child.kill('SIGINT');
    await locker.query('ROLLBACK');
    locker.release();
    const ended = jsonOf(await result);
    expect(ended).toMatchObject({ reportFile: file, exitCode: 130 });
    const html = await readFile(file, 'utf8');
    expect(html).toContain('<p class="status bad">Not complete: ');
    expect(html).toContain(`<dd>${Number(ended['rows']).toLocaleString('en-US')}</dd>`);
    expect(html.trim().endsWith('</html>')).toBe(true);
  });
});
