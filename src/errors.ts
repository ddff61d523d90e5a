/**
 * Every error that Spillway makes. `code` is stable and meant to be tested against; `message` is for people.
 */

/** The stable codes of {@link BackpressureError}. */
export type BackpressureErrorCode =
  /** A wrong option, or two that contradict each other. */
  | 'ERR_BACKPRESSURE_INVALID_OPTION'
  /** A producer that ignored `false` went past `maxWaiting`. */
  | 'ERR_BACKPRESSURE_OVERFLOW'
  /** A producer was made to wait for longer than `maxBlockTimeMs`. */
  | 'ERR_BACKPRESSURE_BLOCK_TIMEOUT'
  /** The flush function failed for good, and no `onFailed` took its items. */
  | 'ERR_BACKPRESSURE_FLUSH_FAILED'
  /** A flush took longer than `flushTimeoutMs`, and did not say within `abortGraceMs` how it ended. */
  | 'ERR_BACKPRESSURE_FLUSH_TIMEOUT'
  /** The flush function answered with something that does not add up to its batch. */
  | 'ERR_BACKPRESSURE_INVALID_RESULT'
  /** A handler that the user gave (`onFailed`, `onSettled`, `shed`, `sizeOf`, a listener …) threw, or positions went down. */
  | 'ERR_BACKPRESSURE_HANDLER_FAILED'
  /** Destroyed while items were unsettled. */
  | 'ERR_BACKPRESSURE_ABORTED'
  /** The destination was out of reach for longer than `breaker.maxOutageMs`; `cause` is the last error. */
  | 'ERR_BACKPRESSURE_OUTAGE'
  /** `drain({ timeoutMs })` ran out of time. */
  | 'ERR_BACKPRESSURE_DRAIN_TIMEOUT'
  /** A call that needs a started controller. */
  | 'ERR_BACKPRESSURE_STOPPED'
  /** A batch could not be copied into PostgreSQL: `CopyError` says whether it was the connection, the set-up, a row or an abort. */
  | 'ERR_BACKPRESSURE_COPY';

export interface BackpressureErrorOptions {
  cause?: unknown;
  /** The items concerned; kept as a property that is not enumerable, so that rows never reach a log by accident. */
  items?: readonly unknown[];
}

/**
 * Recognises errors by a mark that ES module and CommonJS build share: a program may load both, each with classes of its own. Subclasses
 * are recognised as usual.
 */
function hasMark(base: unknown, asked: unknown, mark: symbol, value: unknown): boolean {
  if (asked !== base) return Function.prototype[Symbol.hasInstance].call(asked, value);
  return typeof value === 'object' && value !== null && mark in value;
}

const ERROR_MARK = Symbol.for('spillway.BackpressureError');
const ITEM_ERROR_MARK = Symbol.for('spillway.ItemError');

/** The base class: a stable `code`, the `cause` kept, and the items where items are concerned. */
export class BackpressureError extends Error {
  override readonly name: string = 'BackpressureError';
  readonly code: BackpressureErrorCode;
  /** The items concerned (not enumerable); empty where the error concerns none. */
  declare readonly items: readonly unknown[];

  static {
    Object.defineProperty(this.prototype, ERROR_MARK, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasMark(BackpressureError, this, ERROR_MARK, value);
  }

  constructor(code: BackpressureErrorCode, message: string, options: BackpressureErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    attachItems(this, options.items ?? []);
  }
}

/** Puts `items` on an error where no logger that walks enumerable properties finds them. */
export function attachItems(error: BackpressureError, items: readonly unknown[]): void {
  Object.defineProperty(error, 'items', {
    value: items,
    enumerable: false,
    configurable: true,
    writable: true,
  });
}

/** A wrong option. `option` names it. */
export class InvalidOptionError extends BackpressureError {
  override readonly name = 'InvalidOptionError';
  readonly option: string;

  constructor(option: string, message: string) {
    super('ERR_BACKPRESSURE_INVALID_OPTION', message);
    this.option = option;
  }
}

/**
 * Names one item of a batch that failed, in `FlushResult.errors`.
 *
 * `retryable` items are offered to the flush function again, by themselves, as long as `retry.attempts` allows; the others settle as
 * failed at once.
 */
export class ItemError extends Error {
  override readonly name = 'ItemError';
  /** Place of the item in the batch, counted from 0. */
  readonly index: number;
  readonly retryable: boolean;

  static {
    Object.defineProperty(this.prototype, ITEM_ERROR_MARK, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasMark(ItemError, this, ITEM_ERROR_MARK, value);
  }

  constructor(index: number, options: { retryable?: boolean; cause?: unknown; message?: string } = {}) {
    const { cause } = options;
    super(options.message ?? (cause instanceof Error ? cause.message : `item ${index} failed`), { cause });
    this.index = index;
    this.retryable = options.retryable ?? false;
  }
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    // What has no prototype, or a toString that throws, has no text either.
    return 'something that is no error';
  }
}

/** Anything that was thrown, as an `Error`. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown), { cause: thrown });
}
