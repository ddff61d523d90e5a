/** What `consume` shows while it runs. */

import { startProgress } from '../load/parts.js';
import type { ConsumeProgress, LogLoad } from '../../postgres/index.js';
import type { ConsumeFlags } from '../args/options.js';
import type { Progress } from '../live/progress.js';
import type { ConsumeReading } from '../live/reading.js';
import type { Connection } from '../server/connection.js';
import type { Environment } from '../server/destination.js';
import { progressLine, titleOf } from './consume-lines.js';

export class WorkerProgress {
  readonly #flags: ConsumeFlags;
  readonly #stopping: AbortSignal;
  readonly #progress: Progress;
  #load: LogLoad | undefined;
  #doing: string | undefined;
  #found: ConsumeProgress | undefined;
  #connection: Connection | undefined;
  /** What was done last, and when. */
  #done = { what: '', at: performance.now() };
  #before = { at: performance.now(), rows: 0 };

  constructor(
    flags: ConsumeFlags,
    { stderr, environment }: { readonly stderr: NodeJS.WriteStream; readonly environment: Environment },
    stopping: AbortSignal,
  ) {
    this.#flags = flags;
    this.#stopping = stopping;
    this.#progress = startProgress({ quiet: flags.quiet, environment }, stderr, {
      read: () => this.#read(),
      line: () => progressLine(this.#read(), this.#rate()),
    });
  }

  /** Shows what is done next. */
  step(doing: string): void {
    this.#doing = doing;
  }

  connected(connection: Connection): void {
    this.#connection = connection;
  }

  watch(load: LogLoad): void {
    this.#load = load;
    this.#doing = undefined;
    this.#before = { at: performance.now(), rows: 0 };
  }

  stop(): void {
    this.#progress.stop();
  }

  #read(): ConsumeReading {
    const load = this.#load;
    // For the next time: an answer may take its while.
    if (load !== undefined && this.#doing === undefined)
      void progressOf(load).then((found) => (this.#found = found ?? this.#found));
    return {
      kind: 'consume',
      title: titleOf(this.#flags),
      doing: this.#doing,
      isStopping: this.#stopping.aborted,
      metrics: load?.getMetrics(),
      progress: this.#found,
      now: new Date(),
      lock: this.#connection?.locks.look(this.#silentMs()),
    };
  }

  /** For how long neither a step nor a batch has ended that the database has to do with. */
  #silentMs(): number {
    const metrics = this.#load?.getMetrics();
    const { batches = 0, messagesInFlight = 1 } = metrics ?? {};
    const what = `${this.#doing ?? ''} ${batches} ${messagesInFlight === 0}`;
    if (what !== this.#done.what) this.#done = { what, at: performance.now() };
    // Before its first look, a worker may wait for the tables of the import.
    const waits = messagesInFlight > 0 || this.#found === undefined;
    return waits ? performance.now() - this.#done.at : 0;
  }

  /** Since the last line. */
  #rate(): number {
    const { at, rows } = this.#before;
    this.#before = { at: performance.now(), rows: this.#load?.getMetrics().rowsLoaded ?? 0 };
    return Math.round((1_000 * (this.#before.rows - rows)) / (this.#before.at - at));
  }
}

/** How far the import is. During an outage, nobody waits for an answer. */
export async function progressOf(load: LogLoad): Promise<ConsumeProgress | undefined> {
  return load.getMetrics().waitingFor !== undefined ? undefined : load.progress().catch(() => undefined);
}
