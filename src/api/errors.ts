/**
 * Every error that Spillway makes. `code` is stable and meant to be tested against; `message` is for people.
 */

import { isErrorLike, messageOf } from '../common/thrown.js';

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
  /** The flush function returned something that does not add up to its batch. */
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
  | 'ERR_BACKPRESSURE_COPY'
  /** A log could not be read, or has lost messages: `LogError` says which. */
  | 'ERR_BACKPRESSURE_LOG';

export interface BackpressureErrorOptions {
  cause?: unknown;
  /** The items concerned; kept as a property that is not enumerable, so that rows never reach a log by accident. */
  items?: readonly unknown[];
}

/**
 * Recognises errors by a mark that ES module and CommonJS build share: a program may load both, each with classes of its own, and each
 * realm has its own. Subclasses are recognised as usual.
 */
export function hasMark(base: unknown, asked: unknown, mark: symbol, value: unknown): boolean {
  if (asked !== base) return Function.prototype[Symbol.hasInstance].call(asked, value);
  try {
    return typeof value === 'object' && value !== null && mark in value;
  } catch {
    // A revoked proxy.
    return false;
  }
}

const ERROR_MARK = Symbol.for('spillway.BackpressureError');
const OPTION_ERROR_MARK = Symbol.for('spillway.InvalidOptionError');
const ITEM_ERROR_MARK = Symbol.for('spillway.ItemError');

let ownerOf: (error: unknown) => object | undefined;
let setOwner: (error: BackpressureError, owner: object) => void;

/** The base class: a stable `code`, the `cause` kept, and the items where items are concerned. */
export class BackpressureError extends Error {
  override readonly name: string = 'BackpressureError';
  readonly code: BackpressureErrorCode;
  /**
   * The items concerned (not enumerable); empty where the error concerns none. Set by the stage that made the error: of an error that ends
   * a stream they are complete at `'error'`. Another stage that the same error reaches has its own items in `takeUnsettled()`.
   */
  declare readonly items: readonly unknown[];
  #owner: object | undefined;

  static {
    Object.defineProperty(this.prototype, ERROR_MARK, { value: true });
    ownerOf = (error) => (isObject(error) && #owner in error ? error.#owner : undefined);
    setOwner = (error, owner) => {
      error.#owner = owner;
    };
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasMark(BackpressureError, this, ERROR_MARK, value);
  }

  constructor(code: BackpressureErrorCode, message: string, options: BackpressureErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    // Where no logger that walks enumerable properties finds them.
    Object.defineProperty(this, 'items', {
      value: options.items ?? [],
      enumerable: false,
      configurable: true,
      writable: true,
    });
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/**
 * Makes the errors of one stage (a stream or a controller), and attaches items to them.
 *
 * The same error may reach every stage of a pipeline, and a stage is destroyed with whatever the user likes: so an error is changed only by
 * the stage that made it.
 */
export class StageErrors {
  create(
    code: BackpressureErrorCode,
    message: string,
    options?: BackpressureErrorOptions,
  ): BackpressureError {
    const error = new BackpressureError(code, message, options);
    setOwner(error, this);
    return error;
  }

  /** Whether this stage made the error; also of one that the user has thrown again. */
  owns(error: unknown): error is BackpressureError {
    return ownerOf(error) === this;
  }

  /** A handler or listener of the user's has thrown: an error of this stage stays itself. */
  handlerFailed(name: string, thrown: unknown): BackpressureError {
    if (this.owns(thrown) && thrown.code === 'ERR_BACKPRESSURE_HANDLER_FAILED') return thrown;
    const message = `${name} failed: ${messageOf(thrown)}`;
    return this.create('ERR_BACKPRESSURE_HANDLER_FAILED', message, { cause: thrown });
  }

  /** Attaches the items that the end of the stage leaves unsettled, if the error is the stage's own. `items` is asked only then. */
  attachItems(error: unknown, items: () => readonly unknown[]): void {
    if (!this.owns(error)) return;
    const all = items();
    if (Reflect.defineProperty(error, 'items', { value: all })) return;
    // The user froze the error, but hardly the array.
    const own = error.items as unknown[];
    if (Object.isFrozen(own)) return;
    own.length = 0;
    for (const item of all) own.push(item);
  }
}

/** A wrong option. `option` names it. */
export class InvalidOptionError extends BackpressureError {
  override readonly name = 'InvalidOptionError';
  readonly option: string;

  static {
    Object.defineProperty(this.prototype, OPTION_ERROR_MARK, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasMark(InvalidOptionError, this, OPTION_ERROR_MARK, value);
  }

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
    super(options.message ?? (isErrorLike(cause) ? messageOf(cause) : `item ${index} failed`), { cause });
    this.index = index;
    this.retryable = options.retryable ?? false;
  }
}
