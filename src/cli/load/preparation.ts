/** Plans a load, and says what is left of it in the database if that fails. */

import { CopyError } from '../../postgres/errors/copy-error.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import type { LoadOptions } from '../args/options.js';
import { causesOf, CliError } from '../common/errors.js';
import { DROPPED } from '../report/summary.js';
import { untilStopped } from '../server/answer-time.js';
import type { UnansweredCommits } from '../write/unanswered-commits.js';
import { withHelp } from './failure-help.js';
import { planLoad, type LoadPlan, type LoadRequest, type MadeByLoad } from './load-plan.js';
import { exitCodeOf, type StopSignal } from '../common/stop-signal.js';

interface Pools {
  /** One connection if the load is one transaction. */
  readonly load: CopyPool;
  /** Outside of that transaction. */
  readonly own: CopyPool;
}

export class Preparation {
  readonly #options: LoadOptions;
  readonly #unanswered: UnansweredCommits;
  readonly #made: MadeByLoad = {};

  constructor(options: LoadOptions, unanswered: UnansweredCommits) {
    this.#options = options;
    this.#unanswered = unanswered;
  }

  /** @throws {CliError} which says what was made and is still there */
  async plan(
    pools: Pools,
    request: Pick<LoadRequest, 'source' | 'rejects' | 'signal' | 'onStep'>,
    stoppedBy: () => StopSignal | undefined,
  ): Promise<LoadPlan> {
    try {
      const planning = planLoad(pools.load, { ...request, options: this.#options, made: this.#made });
      return await untilStopped(request.signal, planning);
    } catch (error) {
      const failure = await this.#failure(error, pools.own, stoppedBy());
      throw Object.assign(failure, { truncated: this.#truncated(error) });
    }
  }

  /** The import has begun a new run. */
  startedOver({ importLog }: LoadPlan): void {
    if (importLog !== undefined) this.#made.importLog = importLog;
  }

  /**
   * Drops the table that this run has made if it has no row: it would be used as it is by the corrected command. A failure to drop it is
   * ignored, as the failure that ended the load matters more.
   */
  async dropCreated(pool: CopyPool): Promise<boolean> {
    const { table, importLog } = this.#made;
    // With --atomic, the rollback drops it.
    if (this.#options.atomic || this.#unanswered.rows > 0) return false;
    return (await table?.dropIfEmpty(pool, importLog).catch(() => false)) ?? false;
  }

  /** Returns whether the table is empty now. `null`: it is not known. */
  #truncated(error: unknown): boolean | null {
    const { truncate, atomic } = this.#options;
    // With --atomic, the rollback undoes it.
    if (!truncate || atomic) return false;
    if (this.#made.isTruncated !== undefined) return this.#made.isTruncated;
    return this.#openWork(error) === undefined ? false : null;
  }

  /** Describes what was sent to the server, and may or may not have been done. */
  #openWork(error: unknown): string | undefined {
    return this.#options.atomic ? undefined : (this.#made.open ?? openOutcome(error));
  }

  async #failure(error: unknown, pool: CopyPool, stoppedBy: StopSignal | undefined): Promise<Error> {
    const open = this.#openWork(error);
    const wasDropped = open === undefined && (await this.dropCreated(pool));
    const left = wasDropped ? DROPPED : this.#truncated(error) === true ? 'the table was emptied' : open;
    const done = left === undefined ? '' : `; ${left}`;
    if (stoppedBy !== undefined)
      return new CliError(`stopped before anything was loaded${done}`, exitCodeOf(stoppedBy), error);
    if (!(error instanceof CliError)) return error as Error;
    const helped = withHelp(error, { options: this.#options, created: false, columns: [] });
    return done === '' ? helped : new CliError(`${helped.message}${done}`, error.exitCode, error);
  }
}

/** Returns the message of a COMMIT without an answer. */
function openOutcome(error: unknown): string | undefined {
  return causesOf(error).find((cause) => cause instanceof CopyError && cause.ambiguous)?.message;
}
