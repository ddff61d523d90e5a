import type { Writable } from 'node:stream';
import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import type { FastAdmission } from '../../buffer/fast-admission.js';
import type { Ledger } from '../../buffer/ledger.js';
import type { ResolvedBuffer } from '../../settings/resolve-buffer.js';
import type { WriteTarget } from './write-target.js';
import type { YieldSchedule } from './yield-schedule.js';

/**
 * Fast path of `write()`: bypasses Node's queue if nothing is waiting.
 *
 *     admission credit ──> admitted or dropped, by two comparisons
 *     nothing waits    ──> judged ──> admitted or dropped ──> credit for the next items
 *     otherwise        ──> slow path, with what the user has said of the chunk, if asked
 */
export class FastWrites<T> {
  readonly #stream: Writable;
  readonly #target: WriteTarget<T>;
  readonly #queue: AdmissionQueue<T>;
  readonly #ledger: Ledger;
  readonly #credit: FastAdmission<T>;
  readonly #yields: YieldSchedule;
  readonly #asksUser: boolean;
  readonly #usualPauseAt: number;
  readonly #pauseAtBytes: number;
  /** From this load on, writes take the slow path. 0: all of them do. */
  #pauseAt: number;
  #judged: number | undefined;

  /** @param isSubclass a method that a subclass overrides must see each write */
  constructor(
    stream: Writable,
    target: WriteTarget<T>,
    { strategy, objectMode, marks }: ResolvedBuffer<T>,
    yields: YieldSchedule,
    isSubclass: boolean,
  ) {
    this.#stream = stream;
    this.#target = target;
    this.#queue = target.queue;
    this.#ledger = target.queue.ledger;
    this.#credit = target.queue.fastPath;
    this.#asksUser = target.queue.asksUser;
    this.#yields = yields;
    const blocks = strategy === 'block';
    // In byte mode Node must make bytes of strings first.
    const mayBypassNode = objectMode && !isSubclass;
    this.#usualPauseAt = !mayBypassNode ? 0 : blocks ? marks.pauseAt : Infinity;
    this.#pauseAt = this.#usualPauseAt;
    this.#pauseAtBytes = blocks ? marks.pauseAtBytes : Infinity;
  }

  /** Returns `false` if the chunk must go through `_write`. Only if `_write` is ours. */
  tryWrite(chunk: T): boolean {
    if (chunk === null) return false;
    return this.#asksUser ? this.#tryAsking(chunk) : this.#credit.tryOffer(chunk) || this.#tryAsking(chunk);
  }

  /** What the user has said of the chunk that is about to take the slow path. Returned once. */
  takeJudged(): number | undefined {
    const judged = this.#judged;
    this.#judged = undefined;
    return judged;
  }

  /** From now on each write takes the slow path. */
  close(): void {
    this.#pauseAt = 0;
    this.#credit.endCredit();
  }

  /** Takes `close` back. */
  reopen(): void {
    this.#pauseAt = this.#usualPauseAt;
  }

  #tryAsking(chunk: T): boolean {
    if (this.#ledger.waiting > 0 || (!this.#credit.hasCredit && this.#needsSlowPath())) return false;
    this.#queue.countArrival();
    try {
      return this.#judgeAndAdmit(chunk);
    } catch (thrown) {
      // Before it threw, the user may have written more: one of those may be the undecided chunk, and `close` finds only that one.
      this.#stream.destroy(this.#queue.errors.handlerFailed('admission', thrown));
      this.#target.returnToCaller(chunk);
      return false;
    }
  }

  #judgeAndAdmit(chunk: T): boolean {
    const ledger = this.#ledger;
    const bytes = this.#queue.judge(chunk);
    if (this.#credit.tryAdmit(chunk, bytes)) return true;
    const loadBytes = ledger.queuedBytes + ledger.inFlightBytes;
    const mustPause = loadBytes + bytes >= this.#pauseAtBytes && !this.#stream.destroyed;
    if (mustPause || this.#target.admit(chunk, bytes) === 'full') {
      // It waits behind what the user has written meanwhile.
      this.#queue.retractArrival();
      this.#judged = bytes;
      return false;
    }
    if (!this.#yields.checkAfterOffer()) this.#grantCredit();
    return true;
  }

  #needsSlowPath(): boolean {
    // The write that makes the producer wait: Node has to know of it, to emit 'drain'.
    const { queued, inFlight } = this.#ledger;
    return queued + inFlight + 1 >= this.#pauseAt;
  }

  /** What would be asked for the next ones, too, is asked once. */
  #grantCredit(): void {
    const ledger = this.#ledger;
    // A listener may have done anything meanwhile.
    if (!this.#credit.isPossible || ledger.waiting > 0) return;
    this.#credit.grant(
      Math.min(this.#target.headroom(), this.#pauseAt - 1 - ledger.load, this.#yields.itemsUntilCheck),
      Math.min(this.#target.headroomBytes(), this.#pauseAtBytes - 1 - ledger.loadBytes),
    );
  }
}
