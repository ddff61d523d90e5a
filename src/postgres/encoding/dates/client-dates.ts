/**
 * Finds out how the caller's node-postgres writes a `Date` for a parameter: `pg.defaults.parseInputDatesAsUTC`.
 *
 * A process may hold several copies of `pg` (ESM beside CommonJS, nested versions). So the setting is read through the caller's own client. A
 * query of its class writes a date to a connection that only records it, and the text shows the offset from UTC.
 */

import type { CopyClient, CopyPool } from '../../protocol/pool.js';
import type { DateZone } from './date-clock.js';

/** The default of node-postgres. */
const DEFAULT_ZONE: DateZone = 'local';

/** Its wall clock and UTC's differ in every time zone of the process. */
class DistantDate extends Date {
  override getTimezoneOffset(): number {
    return -60;
  }
}

const PROBE = new DistantDate(0);
const LOCAL_PROBE = /\+01:00/;

interface Bound {
  values?: readonly unknown[];
  valueMapper?: (value: unknown) => unknown;
}

type QueryClass = new (text: string, values: unknown[]) => { submit(connection: unknown): unknown };

export class ClientDates {
  readonly #fixed: DateZone | undefined;
  #query: QueryClass | undefined;

  /** @param fixed the caller's choice; undefined: as the pool's client writes it */
  constructor(pool: CopyPool, fixed: DateZone | undefined) {
    this.#fixed = fixed;
    this.#query = queryClassOf((pool as { Client?: unknown }).Client);
  }

  /** Learns from a client of the pool, if the pool does not show the client's class. */
  learn(client: CopyClient): void {
    this.#query ??= queryClassOf(client.constructor);
  }

  zone(): DateZone {
    if (this.#fixed !== undefined) return this.#fixed;
    return this.#query === undefined ? DEFAULT_ZONE : zoneOf(this.#query);
  }
}

function queryClassOf(client: unknown): QueryClass | undefined {
  if (typeof client !== 'function') return undefined;
  const { Query } = client as { Query?: unknown };
  return typeof Query === 'function' ? (Query as QueryClass) : undefined;
}

function zoneOf(Query: QueryClass): DateZone {
  let text: unknown;
  const ignore = (): void => undefined;
  const connection = {
    parsedStatements: {},
    submittedNamedStatements: {},
    stream: {},
    parse: ignore,
    describe: ignore,
    execute: ignore,
    flush: ignore,
    sync: ignore,
    close: ignore,
    bind({ values = [], valueMapper }: Bound) {
      text = valueMapper === undefined ? values[0] : valueMapper(values[0]);
    },
  };
  try {
    new Query('SELECT $1', [PROBE]).submit(connection);
  } catch {
    // The client is not node-postgres' own.
    return DEFAULT_ZONE;
  }
  return typeof text !== 'string' || LOCAL_PROBE.test(text) ? DEFAULT_ZONE : 'utc';
}
