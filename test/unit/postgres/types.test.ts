/** Types, checked by the compiler: `npm run typecheck` fails where one of these does not hold. */

import type pg from 'pg';
import { expectTypeOf, test } from 'vitest';
import type { BackpressureWritable as Sink } from '../../../src/index.js';
import type { FlushContext, FlushFunction } from '../../../src/api/flush-function.js';
import type { copyInto, CopyOptions, CopyPool } from '../../../src/postgres/index.js';

interface Event {
  id: number;
  at: Date;
}

declare const copy: typeof copyInto;
declare const pool: pg.Pool;
declare const context: FlushContext;
declare const BackpressureWritable: typeof Sink;

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

// Never called: only its types are looked at.
function columns(): void {
  copy<Event>(pool, { table: 'events', columns: ['id', 'at'] });
  copy<Event>(pool, { table: 'events', row: (event) => ({ number: event.id }), columns: ['number'] });
  copy<unknown[]>(pool, { table: 'events', columns: ['anything'] });
  copy(pool, { table: 'events', columns: ['anything'] });
  copy<object>(pool, { table: 'events', columns: ['anything'] });
  copy<{ a: 1 } | { b: 2 }>(pool, { table: 'events', columns: ['a', 'b'] });
  new BackpressureWritable<Event>(copy(pool, { table: 'events', columns: ['id'] }));
  // The rows' type comes from what the sink takes, never from the names.
  void copy(pool, { table: 'events', columns: ['id'] })([{ id: 1, other: 2 }], context);
  // @ts-expect-error -- no key of the rows
  copy<Event>(pool, { table: 'events', columns: ['idd'] });
  // @ts-expect-error -- no key of the rows
  copy<Event>(pool, { table: 'events', onConflict: 'update', key: ['nope'] });
  // @ts-expect-error -- no key of what the sink takes
  new BackpressureWritable<Event>(copy(pool, { table: 'events', columns: ['idd'] }));
}

// Never called: only its types are looked at.
function combinations(onConflict: 'ignore' | 'update'): void {
  const key = ['id'] as const;
  copy<Event>(pool, { table: 'events', onConflict: 'ignore' });
  copy<Event>(pool, { table: 'events', onConflict, key });
  copy<Event>(pool, { table: 'events', importId: 'x', positionOf: ({ id }) => id });
  const given: CopyOptions<Event> = { table: 'events', onConflict: 'update', key };
  copy<Event>(pool, given);
  // @ts-expect-error -- 'update' needs a key
  copy<Event>(pool, { table: 'events', onConflict: 'update' });
  // @ts-expect-error -- a key needs 'ignore' or 'update'
  copy<Event>(pool, { table: 'events', key });
  // @ts-expect-error -- no such action
  copy<Event>(pool, { table: 'events', onConflict: 'replace', key });
  // @ts-expect-error -- an import needs positions
  copy<Event>(pool, { table: 'events', importId: 'x' });
  // @ts-expect-error -- positions need an import
  copy<Event>(pool, { table: 'events', positionOf: (event: Event) => event.id });
}

test('columns and key take keys of the rows only; options that need each other go together', () => {
  expectTypeOf(columns).toBeFunction();
  expectTypeOf(combinations).toBeFunction();
});

test('a pg.Pool fits as it is, and beforeCommit sees its own kind of client', () => {
  expectTypeOf(uses).toBeFunction();
  expectTypeOf<pg.Pool>().toExtend<CopyPool<pg.PoolClient>>();
  expectTypeOf<CopyOptions['table']>().toEqualTypeOf<string>();
});
