/** Columns of `consume --create` that later messages do not fit: what the worker says, and what the guide does about it. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { useConsume } from '../../support/consume-cli.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';

const guide = readFileSync(new URL('../../../src/jetstream/README.md', import.meta.url), 'utf8');
const section = /^### A message that does not fit the table\n([\s\S]*?)^### /m.exec(guide)![1]!;
const [, said] = /^```text\n(.*)\n```$/m.exec(section)!;
const [, statements] = /^```sql\n([\s\S]*?)^```$/m.exec(section)!;
const [, addColumn] = /`(ALTER TABLE [^`]* ADD COLUMN [^`]*)`/.exec(section)!;
const [, ofKey] = /`(d\.error LIKE '%the key [^`]*)`/.exec(section)!;

describe.skipIf(noNatsServer)(
  `a column of consume --create (${noNatsServer ?? 'on servers of its own'})`,
  () => {
    const database = useTestDatabase();
    const nats = useConsume(database);
    const argsOf = (stream: string) => [
      ...['--stream', stream, '--table', 'orders', '--import', 'warehouse', '--create', '--json'],
    ];
    const jsonOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Record<string, unknown>;

    test('that refuses values is named with the statement that makes room, and the dead letters become rows by the guide', async () => {
      const stream = await nats.streams.make();
      await nats.streams.publish(stream, [{ id: 1, item: 'x' }]);
      expect(jsonOf(await nats.consume(argsOf(stream)))).toMatchObject({
        created: true,
        rows: 1,
        exitCode: 0,
      });

      await nats.streams.publish(stream, [
        { id: 'A-1', item: 'x' },
        { id: 2, item: 'x' },
        { id: 'A-2', item: 'x' },
        { id: 3, item: 'x', note: 'later' },
      ]);
      const refused = await nats.consume(argsOf(stream));
      const line = said!.replace('1001', '2');
      const ofNote = `to make a column for it, stop the workers, run ${addColumn!}; and start them again`;
      const notes = [line, expect.stringContaining(ofNote) as string];
      expect(refused.stderr.split('\n').filter((each) => each.includes('ALTER TABLE'))).toEqual(notes);
      expect(jsonOf(refused)).toMatchObject({ rows: 1, deadLetters: 3, notes, exitCode: 3 });

      expect(statements!.split('\n')[0]).toBe(/ALTER TABLE .*?;/.exec(line)![0]);
      await database.query(statements!);
      await database.query(addColumn!);
      const ofColumn = `d.error LIKE '%column "id"%'`;
      expect(statements).toContain(ofColumn);
      const load = statements!.slice(statements!.indexOf('WITH '));
      await database.query(load.replace(ofColumn, ofKey!));
      expect(await database.query('SELECT FROM spillway_dead_letters')).toEqual([]);

      await nats.streams.publish(stream, [{ id: 'A-4', item: 'x', note: 'y' }]);
      expect(jsonOf(await nats.consume(argsOf(stream)))).toMatchObject({
        rows: 1,
        deadLetters: 0,
        notes: [],
      });
      expect(await database.query('SELECT id, note FROM orders ORDER BY id')).toEqual([
        { id: '1', note: null },
        { id: '2', note: null },
        { id: '3', note: 'later' },
        { id: 'A-1', note: null },
        { id: 'A-2', note: null },
        { id: 'A-4', note: 'y' },
      ]);
    });
  },
);
