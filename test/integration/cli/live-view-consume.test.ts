/** The view of `spillway consume` in a real pseudo-terminal, with a real NATS server that goes away and a real lock. */

import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { useConsume } from '../../support/consume-cli.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { inTerminal } from '../../support/pseudo-terminal.js';
import { range } from '../../support/range.js';

const MESSAGES = 3_000;
const database = useTestDatabase();

describe.skipIf(noNatsServer)(`the view of consume (${noNatsServer ?? 'on servers of its own'})`, () => {
  const nats = useConsume(database);

  test('follows a backlog behind a lock, dead letters, an outage of NATS, the size of the terminal, and Ctrl-C', async () => {
    const { streams, cli } = nats;
    const [stream, table] = [await streams.make(), await database.table('id int CHECK (id <> 7)')];
    await streams.publish(
      stream,
      range(MESSAGES).map((id) => ({ id })),
    );
    const holder = new pg.Client({ connectionString: database.url, application_name: 'holder' });
    await holder.connect();
    onTestFinished(() => holder.end());
    await holder.query(`BEGIN; LOCK TABLE ${table} IN SHARE MODE`);
    const args = ['consume', '--stream', stream, '--table', table, '--import', table];
    const terminal = inTerminal([process.execPath, cli.main, ...args], {
      cwd: cli.directory,
      env: { DATABASE_URL: database.url, NATS_URL: nats.url },
    });
    // Above the view stands the line that the worker begins with.
    const view = (lines: readonly string[]): readonly string[] => {
      const title = lines.findIndex((line) => line.startsWith(`stream "${stream}" into`));
      return title < 0 ? [] : lines.slice(title);
    };
    const until = async (patterns: readonly RegExp[]): Promise<void> => {
      const isThere = (lines: readonly string[]): boolean =>
        lines.length === patterns.length && patterns.every((pattern, row) => pattern.test(lines[row]!));
      await terminal.until((lines) => isThere(view(lines)));
    };
    const title = new RegExp(`^stream "${stream}" into "${table}" +\\d+ s$`);

    await until([
      title,
      /^loaded {3}0 % +░+$/,
      /^rows {5}0 here, 0\/s, 0 in all +▁+$/,
      /^behind {3}3,000 messages, the oldest \d+ s old +█+$/,
      /^lanes {4}1 here, 0 elsewhere, 0 free, 0 finished here$/,
      /^faults {3}0 dead letters, 0 retries$/,
      /^waiting for a lock held by process \d+ \(application "holder", idle in transaction for \d+ s\)$/,
    ]);
    await holder.query('ROLLBACK');
    const caughtUp = [
      title,
      /^loaded {3}100 % +█+$/,
      /^rows {5}2,999 here, [\d,]+\/s, 2,999 in all +[▁-█]+$/,
      /^behind {3}up to date +[▁-█ ]+$/,
      /^lanes {4}1 here, 0 elsewhere, 0 free, 0 finished here$/,
      /^faults {3}1 dead letter, \d+ retr(?:y|ies)$/,
    ];
    await until(caughtUp);

    await streams.server.kill();
    await until([
      title,
      /^loaded {3}100 % +█+$/,
      /^rows {5}2,999 here, 0\/s, 2,999 in all +[▁-█]+$/,
      /^behind {3}up to date, as of \d+ s ago +[▁-█ ]+$/,
      /^lanes {4}[01] here, 0 finished here$/,
      /^faults {3}1 dead letter, \d+ retr(?:y|ies)$/,
      /^waiting for NATS for \d+ s \(.+\)?$/,
    ]);
    await streams.restart();
    await until(caughtUp);

    await terminal.resize(45, 24);
    await terminal.until((lines) => {
      const shown = view(lines);
      return shown.length === 6 && shown.every(({ length }) => length < 45);
    });
    terminal.type('\u0003');
    expect(await terminal.exitCode).toBe(0);
    const left = await terminal.lines();
    expect(view(left)).toEqual([]);
    expect(left.join('')).toContain(`2,999 rows into "${table}"`);
  });
});
