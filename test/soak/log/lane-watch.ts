/**
 * Watches the lanes of an import, and measures by the server's clock how long those of a worker that has gone wait for another one: from the
 * fault until each of them is claimed.
 */

import type pg from 'pg';

interface Lane {
  readonly lane: number;
  readonly next: number;
  readonly run: number;
  /** Undefined: nobody holds it. */
  readonly leaseUntilMs: number | undefined;
}

interface Sight {
  readonly atMs: number;
  readonly lanes: ReadonlyMap<number, Lane>;
}

/** A fault, and the lanes whose fate is not known yet. */
interface OpenFault {
  readonly name: string;
  readonly sinceMs: number;
  readonly lanes: Map<number, Lane>;
}

export class LaneWatch {
  readonly takeovers: { readonly name: string; readonly ms: number }[] = [];
  /** Messages that are loaded, in lanes that have a row of their own or a common one. */
  loaded = 0;
  readonly #pool: pg.Pool;
  readonly #importId: string;
  #faults: OpenFault[] = [];

  constructor(pool: pg.Pool, importId: string) {
    this.#pool = pool;
    this.#importId = importId;
  }

  /** Just before a worker is killed or stopped. The lanes of the others go on. */
  async begin(name: string): Promise<void> {
    const { atMs, lanes } = await this.#look();
    const held = [...lanes].filter(
      ([, { leaseUntilMs }]) => leaseUntilMs !== undefined && leaseUntilMs > atMs,
    );
    this.#faults.push({ name, sinceMs: atMs, lanes: new Map(held) });
  }

  /** To be called often. */
  async look(): Promise<void> {
    const { atMs, lanes } = await this.#look();
    for (const fault of this.#faults) {
      for (const [number, before] of fault.lanes) {
        const now = lanes.get(number);
        if (now !== undefined && now.run === before.run && now.next === before.next) {
          fault.lanes.set(number, now);
          continue;
        }
        fault.lanes.delete(number);
        // Finished lanes are merged, and their workers were alive. So were those whose lease was not over: they have laid the lane down.
        const wasOver = before.leaseUntilMs !== undefined && before.leaseUntilMs < atMs;
        if (now !== undefined && now.run !== before.run && wasOver) {
          this.takeovers.push({ name: fault.name, ms: atMs - fault.sinceMs });
          // A later fault has had the same worker's lane in view.
          for (const other of this.#faults) other.lanes.delete(number);
        }
      }
    }
    this.#faults = this.#faults.filter(({ lanes: open }) => open.size > 0);
  }

  async #look(): Promise<Sight> {
    const { rows } = await this.#pool.query<{
      at: number;
      lane: number;
      first: number;
      last: number;
      next: number;
      run: number;
      until: number | null;
    }>(
      `SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS at, lane::int, first::int, last::int, next::int, run,
          CASE WHEN next <= last THEN extract(epoch FROM lease_until)::float8 * 1000 END AS until
        FROM spillway_lanes WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1)`,
      [this.#importId],
    );
    this.loaded = rows.reduce((sum, { first, next }) => sum + next - first, 0);
    const lanes = rows.map(
      ({ lane, next, run, until }) => [lane, { lane, next, run, leaseUntilMs: until ?? undefined }] as const,
    );
    return { atMs: rows[0]?.at ?? 0, lanes: new Map(lanes) };
  }
}
