import { LONGEST_DELAY_MS, type TimerHandle } from '../../common/clock.js';
import { Deadline } from '../../common/deadline.js';
import { toError } from '../../common/thrown.js';
import type { StageErrors } from '../../api/errors.js';
import type { ResolvedSink } from '../../settings/resolve-sink.js';
import type { FlushContext, FlushFunction, FlushReason } from '../../api/flush-function.js';

/** How one call of the flush function went. */
export type CallOutcome =
  | { kind: 'answered'; answer: unknown; latencyMs: number }
  /** `interrupted`: its signal had fired before. */
  | { kind: 'rejected'; error: Error; interrupted: boolean; latencyMs: number }
  /** Its signal fired, and it did not settle within the grace. `error` is the signal's reason. */
  | { kind: 'abandoned'; error: Error; latencyMs: number };

export interface FlushCall {
  /** Never rejects. */
  outcome: Promise<CallOutcome>;
  /** Fires the call's signal; from here on it has `abortGraceMs` to settle. */
  interrupt: (error: Error) => void;
}

/** What the batch knows of the call. */
export interface CallContext {
  attempt: number;
  reason: FlushReason;
  /** As taken from the queue, under `sample`. */
  weights: Float64Array | undefined;
}

/** Calls the flush function once, with a limit on its time. An outcome after the call was abandoned only goes to `onLateResult`. */
export function startFlushCall<T>(
  flush: FlushFunction<T>,
  items: T[],
  context: CallContext,
  settings: ResolvedSink<T>,
  errors: StageErrors,
  onLateResult: () => void,
): FlushCall {
  const { clock, flushTimeoutMs, abortGraceMs } = settings;
  const timeoutError = () =>
    errors.create(
      'ERR_BACKPRESSURE_FLUSH_TIMEOUT',
      `flush took longer than flushTimeoutMs (${flushTimeoutMs} ms); its outcome is unknown`,
    );
  const late = new LateSignal();
  const Context = flush.length > 1 ? DeclaredContext : UndeclaredContext;
  const flushContext = new Context(late, context, items.length, settings.onFailed !== undefined);
  const startedAt = clock.now();
  const latencyMs = () => clock.now() - startedAt;
  let open = true;
  let interrupted = false;
  const timeout = new Deadline(clock, flushTimeoutMs, () => interrupt(timeoutError()));
  let grace: Deadline | undefined;
  let holding: TimerHandle;
  let resolve!: (outcome: CallOutcome) => void;
  const outcome = new Promise<CallOutcome>((resolveOutcome) => {
    resolve = resolveOutcome;
  });
  const stop = () => {
    timeout.clear();
    clock.clearTimeout(holding);
  };
  const end = (result: CallOutcome) => {
    if (!open) {
      onLateResult();
      return;
    }
    open = false;
    stop();
    grace?.clear();
    resolve(result);
  };
  const interrupt = (error: Error) => {
    if (interrupted || !open) return;
    interrupted = true;
    stop();
    grace = new Deadline(clock, abortGraceMs, () =>
      end({ kind: 'abandoned', error, latencyMs: latencyMs() }),
    );
    grace.start();
    late.abort(error);
  };
  // Fires in some weeks, for nothing; but it holds the process while items are unsettled.
  if (flushTimeoutMs === Infinity) holding = clock.setTimeout(() => undefined, LONGEST_DELAY_MS);
  else timeout.start();
  invoke(flush, items, flushContext).then(
    (answer) => end({ kind: 'answered', answer, latencyMs: latencyMs() }),
    (error: unknown) => end({ kind: 'rejected', error: toError(error), interrupted, latencyMs: latencyMs() }),
  );
  return { outcome, interrupt };
}

/** Whatever the flush function throws becomes a rejection. A copy: one that empties its array must not empty ours. */
async function invoke<T>(flush: FlushFunction<T>, items: T[], context: FlushContext): Promise<unknown> {
  return flush(items.slice(), context);
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
