export interface RetryOptions {
  /** All calls of the flush function for one batch, the first included. Default 1; `copyInto` sets 5. At least 1. */
  attempts?: number;
  /** Base of the delay before a retry, which is drawn from `0 … min(maxDelayMs, minDelayMs × 2ⁿ)` ("full jitter"). Default 200 ms. */
  minDelayMs?: number;
  /** Cap of that delay. Default 30 000 ms. */
  maxDelayMs?: number;
  /** Which errors are worth another call. Default: all, except an error whose own `retryable` is `false`. */
  isRetryable?: (error: Error) => boolean;
}
