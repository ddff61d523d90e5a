/** Workers of streams on a NATS server and in a database of the test file's own. The end of each test stops them. */

import { afterEach } from 'vitest';
import { jetStreamLog } from '../../../src/jetstream/index.js';
import { consumeLog, type ConsumeOptions, type LogLoad } from '../../../src/postgres/index.js';
import { useTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';
import { useTestStreams, type TestStreams } from '../../support/test-streams.js';

export interface StreamLoads {
  readonly database: TestDatabase;
  readonly streams: TestStreams;
  /** Closes a proxy at the end of the test, after everything else: the last requests go through it. */
  readonly closeLast: <Proxy extends { close(): Promise<void> }>(proxy: Proxy) => Proxy;
  /** @param port of a proxy before the server */
  readonly start: (
    stream: string,
    table: string,
    options?: Partial<ConsumeOptions>,
    port?: number,
  ) => Promise<LogLoad>;
  readonly idsOf: (table: string) => Promise<number[]>;
  readonly hasRows: (table: string, count: number) => () => Promise<boolean>;
}

export function useStreamLoads(leaseMs: number): StreamLoads {
  const database = useTestDatabase();
  const proxies: { close(): Promise<void> }[] = [];
  const loads: LogLoad[] = [];

  // Hooks run from the last one to the first.
  afterEach(async () => {
    for (const proxy of proxies.splice(0)) await proxy.close();
  });

  const streams = useTestStreams();

  afterEach(async () => {
    for (const load of loads.splice(0)) await load.stop().catch(() => undefined);
  });

  async function idsOf(table: string): Promise<number[]> {
    return (await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
  }

  return {
    database,
    streams,
    closeLast(proxy) {
      proxies.push(proxy);
      return proxy;
    },
    async start(stream, table, options = {}, port) {
      const log = jetStreamLog(await streams.connect(port), { stream, laneSize: 1_000 });
      const load = consumeLog(log, database.pool(), { table, importId: table, leaseMs, ...options });
      load.finished.catch(() => undefined);
      loads.push(load);
      return load;
    },
    idsOf,
    hasRows: (table, count) => async () => (await idsOf(table)).length >= count,
  };
}

/** Messages with ids from `first` on. */
export function ids(first: number, count: number): { id: number }[] {
  return range(count, first).map((id) => ({ id }));
}
