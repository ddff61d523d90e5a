/** Types, checked by the compiler: `npm run typecheck` fails where one of these does not hold. */

import type pg from 'pg';
import { expectTypeOf, test } from 'vitest';
import type { FlushFunction } from '../../../src/types.js';
import type { copyInto, CopyOptions, CopyPool } from '../../../src/postgres/index.js';

interface Event {
  id: number;
  at: Date;
}

declare const copy: typeof copyInto;
declare const pool: pg.Pool;

// Never called: only its types are looked at.
function uses(): void {
  const typed: FlushFunction<Event> = copy(pool, { table: 'events' });
  expectTypeOf(typed).toEqualTypeOf<FlushFunction<Event>>();
  expectTypeOf(copy<Event>(pool, { table: 'events' })).toExtend<FlushFunction<Event>>();
  expectTypeOf(copy<unknown[]>(pool, { table: 'events' })).toExtend<FlushFunction<unknown[]>>();
  copy(pool, {
    table: 'events',
    beforeCommit: async (client, items: readonly Event[]) => {
      expectTypeOf(client).toEqualTypeOf<pg.PoolClient>();
      await client.query<{ n: number }>('SELECT 1 AS n').then(({ rows }) => rows[0]!.n + items[0]!.id);
    },
  });
  const plain = { connect: () => pool.connect() };
  copy(plain, {
    table: 'events',
    beforeCommit: async (client) => {
      expectTypeOf(client).toEqualTypeOf<pg.PoolClient>();
    },
  });
  // @ts-expect-error -- a table is needed
  copy(pool, {});
  // @ts-expect-error -- misspelt
  copy(pool, { table: 'events', colums: ['a'] });
  // @ts-expect-error -- rows are objects or arrays
  copy<string>(pool, { table: 'events' });
}

test('a pg.Pool fits as it is, and beforeCommit sees its own kind of client', () => {
  expectTypeOf(uses).toBeFunction();
  expectTypeOf<pg.Pool>().toExtend<CopyPool<pg.PoolClient>>();
  expectTypeOf<CopyOptions['table']>().toEqualTypeOf<string>();
});
