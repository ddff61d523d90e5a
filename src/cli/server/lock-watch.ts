/** Finds out who holds the lock that a connection of ours waits for, while a command waits for the server. */

import type * as Pg from 'pg';
import { toError } from '../../common/thrown.js';
import { ClientLease } from '../../postgres/connection/client-lease.js';
import { EQUALS, runStatement, statement } from '../../postgres/sql/statement.js';
import { counted, duration } from '../common/counted.js';
import { inTime } from './answer-time.js';

/** The server may take so long without any lock. */
const PATIENCE_MS = 2_000;
/** A look stops the server's lock manager for a moment. */
const INTERVAL_MS = 2_000;
const LOOK_LIMIT_MS = 5_000;

/**
 * Other sessions that block those of ours that wait for a lock. First those that do not wait themselves, then the oldest transaction.
 *
 * Of sessions of other roles, only members of pg_read_all_stats see the state. The text of a query may hold secrets, and is not asked for.
 */
export const FIND_HOLDERS =
  statement(`SELECT pg_catalog.json_agg(pg_catalog.json_build_object('pid', blocker.pid, 'application', h.application_name,
    'backend', h.backend_type, 'state', h.state, 'ms', 1000 OPERATOR(pg_catalog.*) pg_catalog.date_part('epoch'::pg_catalog.text,
      pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) h.state_change)::bigint)
    ORDER BY coalesce(h.wait_event_type ${EQUALS} 'Lock'::pg_catalog.text, false), h.xact_start)::pg_catalog.text AS holders
  FROM pg_catalog.pg_stat_activity own CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(own.pid)) AS blocker (pid)
    LEFT JOIN pg_catalog.pg_stat_activity h ON h.pid ${EQUALS} blocker.pid
  WHERE pg_catalog.array_position($1::integer[], own.pid) IS NOT NULL AND own.wait_event_type ${EQUALS} 'Lock'::pg_catalog.text
    AND pg_catalog.array_position($1::integer[], blocker.pid) IS NULL`);

export interface LockHolder {
  /** 0: a prepared transaction, which has no process. */
  readonly pid: number;
  readonly application: string | null;
  readonly backend: string | null;
  readonly state: string | null;
  /** Since when it is in this state. */
  readonly ms: number | null;
}

/** The process that a session has on the server. Behind a pooler it is another one, and no lock is found. */
type Client = Pg.PoolClient & { readonly processID?: number };

type WatchedPool = Pick<Pg.Pool, 'connect' | 'on' | 'options' | 'totalCount' | 'idleCount' | 'waitingCount'>;

export class LockWatch {
  readonly #pool: WatchedPool;
  readonly #clients = new Set<Client>();
  #lock: string | undefined;
  #isAsking = false;
  #askedAt = -Infinity;

  constructor(pool: WatchedPool) {
    this.#pool = pool;
    pool.on('connect', (client) => this.#clients.add(client));
    pool.on('remove', (client) => this.#clients.delete(client as Client));
  }

  /**
   * Returns what was found last, in words, and looks again for the next time.
   *
   * @param silentMs for how long the server has not answered
   */
  look(silentMs: number): string | undefined {
    if (silentMs < PATIENCE_MS) {
      this.#lock = undefined;
      return undefined;
    }
    const now = performance.now();
    if (!this.#isAsking && now - this.#askedAt >= INTERVAL_MS && this.#hasRoom()) {
      this.#askedAt = now;
      this.#isAsking = true;
      void this.#find()
        .then(lockText, () => undefined)
        .then((text) => {
          this.#lock = text;
          this.#isAsking = false;
        });
    }
    return this.#lock;
  }

  /** The command's own work comes first. */
  #hasRoom(): boolean {
    const { totalCount, idleCount, waitingCount, options } = this.#pool;
    return waitingCount === 0 && totalCount - idleCount < options.max;
  }

  async #find(): Promise<LockHolder[]> {
    const pids = [...this.#clients].flatMap(({ processID }) => processID ?? []);
    const lease = await ClientLease.take(this.#pool, AbortSignal.timeout(LOOK_LIMIT_MS));
    try {
      const { rows } = await inTime(runStatement(lease.client, FIND_HOLDERS, [pids]), LOOK_LIMIT_MS);
      lease.release();
      const [row] = rows as { holders: string | null }[];
      return JSON.parse(row?.holders ?? '[]') as LockHolder[];
    } catch (error) {
      lease.discard(toError(error));
      throw error;
    }
  }
}

/** `a lock held by process 4711 (application "psql", idle in transaction for 95 s)`. Pure. */
export function lockText(holders: readonly LockHolder[]): string | undefined {
  const [first] = holders;
  if (first === undefined) return undefined;
  const more = new Set(holders.map(({ pid }) => pid)).size - 1;
  const others = more === 0 ? '' : `, and by ${counted(more, 'more process', 'more processes')}`;
  if (first.pid === 0) return `a lock held by a prepared transaction${others}`;
  const { pid, application, backend, state, ms } = first;
  const details = [
    ...(application !== null && application !== ''
      ? [`application ${JSON.stringify(application)}`]
      : backend !== null && backend !== 'client backend'
        ? [backend]
        : []),
    ...(state === null || ms === null ? [] : [`${state} for ${duration(Math.max(0, ms))}`]),
  ];
  return `a lock held by process ${pid}${details.length === 0 ? '' : ` (${details.join(', ')})`}${others}`;
}
