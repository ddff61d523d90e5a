/** What `drainOnSignals` asks of a sink, beyond what users can: to be the last one that does something with it. */

/** Shared by the ES module and the CommonJS build: a program may load both. */
export const SHUTDOWN: unique symbol = Symbol.for('spillway.shutdown');

export interface SinkShutdown {
  /**
   * Keeps producers out from now on, for good, and settles what is there. Rejects as `drain()` does, when `restMs()` has run out and when
   * the sink fails.
   */
  drain(restMs: () => number): Promise<void>;
  /** Starts no further flush. Answers with everything that did not arrive, or is not known to. */
  halt(): unknown[];
  /** Ends the sink for good. */
  end(signal: string): void;
}

/** A `BackpressureWritable` or a `BackpressureController`. */
export interface DrainableSink {
  /** @internal `undefined` where the sink has come to its end already, and told so. */
  [SHUTDOWN](): SinkShutdown | undefined;
}
