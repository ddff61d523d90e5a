/** `spillway consume` with wrong flags: what is said, and that the same import can be begun once they are right. */

import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import { useConsume } from '../../support/consume-cli.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';

describe.skipIf(noNatsServer)(
  `spillway consume with wrong flags (${noNatsServer ?? 'on a server of its own'})`,
  () => {
    const database = useTestDatabase();
    const nats = useConsume(database);
    let imports = 0;
    const importId = (): string => `mistaken ${(imports += 1)}`;
    const rowsOf = (table: string): Promise<unknown[]> =>
      database.query(`SELECT id FROM ${table} ORDER BY id`);

    /** A stream with the messages 1 to `count`, a table for them, and the flags that name both. */
    async function prepare(count: number, config = {}) {
      const stream = await nats.streams.make(config);
      await nats.streams.publish(
        stream,
        Array.from({ length: count }, (_, index) => ({ id: index + 1 })),
      );
      const table = await database.table('id int');
      return { stream, table, flags: ['--stream', stream, '--table', table, '--import', importId()] };
    }

    test('a filter that no subject of the stream matches is named, and the import is begun with the right one', async () => {
      const { stream, table, flags } = await prepare(3);
      const wrong = await nats.consume([...flags, '--filter', 'orders.>']);
      expect(wrong.code).toBe(1);
      expect(wrong.stderr).toMatch(/"orders\.>".*--filter/);
      const right = await nats.consume([...flags, '--filter', `${stream}.>`]);
      expect([right.code, right.stderr]).toEqual([0, expect.stringContaining('3 rows in all')]);
      expect(await rowsOf(table)).toHaveLength(3);
      // Now it has lanes, which stand for this filter.
      const other = await nats.consume(flags);
      expect([other.code, other.stderr]).toEqual([
        1,
        expect.stringContaining('was begun with another source'),
      ]);
    });

    test('a start that the stream has deleted can be replaced, as the error advises', async () => {
      const { stream, table, flags } = await prepare(6);
      const manager = await jetstreamManager(nats.streams.nats);
      await manager.streams.purge(stream, { seq: 4 });
      const lost = await nats.consume([...flags, '--from', '2']);
      expect([lost.code, lost.stderr]).toEqual([
        1,
        expect.stringContaining("set 'from' to 'first' (--from)"),
      ]);
      const advised = await nats.consume([...flags, '--from', 'first']);
      expect(advised.code).toBe(0);
      expect(await rowsOf(table)).toEqual([{ id: 4 }, { id: 5 }, { id: 6 }]);
      const other = await nats.consume([...flags, '--from', '4']);
      expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('from was "first" and is 4')]);
    });

    test('a key that no column can be called by costs its message, and not the table that is to be made', async () => {
      const stream = await nats.streams.make();
      await nats.streams.publish(stream, [{ id: 1, '': 2 }, { id: 3 }]);
      const { code, stderr } = await nats.consume([
        ...['--stream', stream, '--table', 'of_empty_keys', '--import', importId(), '--create'],
      ]);
      expect([code, stderr]).toEqual([3, expect.stringContaining('1 dead letter')]);
      expect(await rowsOf('of_empty_keys')).toEqual([{ id: '3' }]);
    });

    test.each(['spillway_lanes', 'spillway_imports'])(
      'a table that says what is loaded takes no messages: %s',
      async (table) => {
        const { flags } = await prepare(1);
        await nats.consume(flags);
        const wrong = flags.map((flag, index) => (flags[index - 1] === '--table' ? table : flag));
        const { code, stderr } = await nats.consume(wrong);
        expect(code).not.toBe(0);
        expect(stderr).toContain('says what is loaded');
        expect(stderr).not.toContain('report');
      },
    );

    test('a stream of another retention is refused with what helps, also when the table is to be made', async () => {
      const stream = await nats.streams.make({ retention: 'workqueue' });
      const { code, stderr } = await nats.consume([
        ...['--stream', stream, '--table', 'of_a_queue', '--import', importId(), '--create'],
      ]);
      expect(code).toBe(1);
      expect(stderr).toContain('has the retention "workqueue"');
      expect(stderr).not.toMatch(/report|LogError/);
    });
  },
);
