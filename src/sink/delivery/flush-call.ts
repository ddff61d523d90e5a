import { LONGEST_DELAY_MS, type TimerHandle } from '../../common/clock.js';
import { Deadline } from '../../common/deadline.js';
import { toError } from '../../common/thrown.js';
import type { StageErrors } from '../../api/errors.js';
import type { ResolvedSink } from '../../settings/resolve-sink.js';
import type { FlushTrace } from '../../signals/flush-trace.js';
import type { FlushContext, FlushFunction, FlushReason } from '../../api/flush-function.js';

/** How one call of the flush function went. */
export type CallOutcome =
  | { kind: 'answered'; answer: unknown; latencyMs: number }
  /** `interrupted`: its signal had fired before. */
  | { kind: 'rejected'; error: Error; interrupted: boolean; latencyMs: number }
  /** Its signal fired, and it did not settle within the grace. `error` is the signal's reason. */
  | { kind: 'abandoned'; error: Error; latencyMs: number };

/** What the batch knows of the call. */
export interface CallContext {
  attempt: number;
  reason: FlushReason;
  /** As taken from the queue, under `sample`. */
  weights: Float64Array | undefined;
  startedAt: number;
  /** If somebody has subscribed to the channel of flushes. */
  trace?: FlushTrace | undefined;
}

/** What a call needs of the sink. */
interface CallHost {
  readonly errors: StageErrors;
  /** An abandoned call has ended after all. */
  onLateResult(): void;
}

/** One call of the flush function, with a limit on its time. An outcome after the call was abandoned only goes to `onLateResult`. */
export class FlushCall<T> {
  /** Never rejects. */
  readonly outcome: Promise<CallOutcome>;
  readonly #settings: ResolvedSink<T>;
  readonly #host: CallHost;
  readonly #startedAt: number;
  readonly #late = new LateSignal();
  #resolve!: (outcome: CallOutcome) => void;
  /** Of the call, then of its grace. */
  #deadline: Deadline | undefined;
  #holding: TimerHandle;
  #isOpen = true;
  #isInterrupted = false;

  /** Calls it at once. */
  constructor(
    flush: FlushFunction<T>,
    items: T[],
    context: CallContext,
    settings: ResolvedSink<T>,
    host: CallHost,
  ) {
    const { clock, flushTimeoutMs, onFailed } = settings;
    this.#settings = settings;
    this.#host = host;
    this.#startedAt = context.startedAt;
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    // Fires in some weeks, for nothing; but it holds the process while items are unsettled.
    if (flushTimeoutMs === Infinity) this.#holding = clock.setTimeout(() => undefined, LONGEST_DELAY_MS);
    else this.#limitTo(flushTimeoutMs, this.#startedAt, () => this.interrupt(this.#timeoutError()));
    const Context = flush.length > 1 ? DeclaredContext : UndeclaredContext;
    const flushContext = new Context(this.#late, context, items.length, onFailed !== undefined);
    void this.#run(flush, items, flushContext, context.trace);
  }

  /** Fires the call's signal; from here on it has `abortGraceMs` to settle. */
  interrupt(error: Error): void {
    if (this.#isInterrupted || !this.#isOpen) return;
    this.#isInterrupted = true;
    this.#stopTimers();
    const { clock, abortGraceMs } = this.#settings;
    this.#limitTo(abortGraceMs, clock.now(), () =>
      this.#end({ kind: 'abandoned', error, latencyMs: this.#latencyMs }),
    );
    this.#late.abort(error);
  }

  /** Whatever the flush function throws becomes an outcome. It gets a copy: one that empties its array must not empty ours. */
  async #run(
    flush: FlushFunction<T>,
    items: T[],
    context: FlushContext,
    trace: FlushTrace | undefined,
  ): Promise<void> {
    let outcome: CallOutcome;
    try {
      const answer: unknown = await (trace === undefined
        ? flush(items.slice(), context)
        : trace.run(() => flush(items.slice(), context)));
      outcome = { kind: 'answered', answer, latencyMs: this.#latencyMs };
    } catch (thrown) {
      const interrupted = this.#isInterrupted;
      outcome = { kind: 'rejected', error: toError(thrown), interrupted, latencyMs: this.#latencyMs };
    }
    this.#end(outcome);
  }

  #end(outcome: CallOutcome): void {
    if (!this.#isOpen) return this.#host.onLateResult();
    this.#isOpen = false;
    this.#stopTimers();
    this.#resolve(outcome);
  }

  get #latencyMs(): number {
    return this.#settings.clock.now() - this.#startedAt;
  }

  #timeoutError(): Error {
    const { flushTimeoutMs } = this.#settings;
    const message = `flush took longer than flushTimeoutMs (${flushTimeoutMs} ms); its outcome is unknown`;
    return this.#host.errors.create('ERR_BACKPRESSURE_FLUSH_TIMEOUT', message);
  }

  #limitTo(limitMs: number, now: number, onExpired: () => void): void {
    this.#deadline = new Deadline(this.#settings.clock, limitMs, onExpired);
    this.#deadline.start(now);
  }

  #stopTimers(): void {
    this.#deadline?.clear();
    this.#settings.clock.clearTimeout(this.#holding);
  }
}

/** Made when it is asked for: to make one costs as much as the rest of a flush. */
class LateSignal {
  #controller: AbortController | undefined;
  #abortError: Error | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortError !== undefined) this.#controller.abort(this.#abortError);
    }
    return this.#controller.signal;
  }

  abort(error: Error): void {
    this.#abortError = error;
    this.#controller?.abort(error);
  }
}

abstract class BaseContext implements FlushContext {
  abstract readonly signal: AbortSignal;
  readonly attempt: number;
  readonly reason: FlushReason;
  readonly takesFailures: boolean;
  readonly #length: number;
  readonly #taken: Float64Array | undefined;
  #weights: readonly number[] | undefined;

  constructor(call: CallContext, length: number, takesFailures: boolean) {
    this.attempt = call.attempt;
    this.reason = call.reason;
    this.takesFailures = takesFailures;
    this.#length = length;
    this.#taken = call.weights;
  }

  get weights(): readonly number[] {
    return (this.#weights ??= this.#taken ? [...this.#taken] : new Array<number>(this.#length).fill(1));
  }

  get represents(): number {
    return this.#taken?.reduce((sum, weight) => sum + weight, 0) ?? this.#length;
  }
}

/** For a flush function that declares the parameter: its signal is a property that a copy, `{ ...context }`, has too. */
class DeclaredContext extends BaseContext {
  readonly signal: AbortSignal;

  constructor(late: LateSignal, call: CallContext, length: number, takesFailures: boolean) {
    super(call, length, takesFailures);
    this.signal = late.signal;
  }
}

/** For one that does not, but may read it all the same, by `...rest` or a default. */
class UndeclaredContext extends BaseContext {
  readonly #late: LateSignal;

  constructor(late: LateSignal, call: CallContext, length: number, takesFailures: boolean) {
    super(call, length, takesFailures);
    this.#late = late;
  }

  get signal(): AbortSignal {
    return this.#late.signal;
  }
}
