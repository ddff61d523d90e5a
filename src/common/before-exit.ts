/** Sinks that do not keep the process alive flush once when it has nothing else to do. */

export interface BeforeExitSink {
  readonly isIdle: boolean;
  flush(): Promise<void>;
}

/** What is used of `process`. */
export interface BeforeExitTarget {
  on(event: 'beforeExit', listener: () => void): unknown;
  off(event: 'beforeExit', listener: () => void): unknown;
}

/**
 * One listener on the process for all sinks. They are held weakly: a sink that nothing else refers to has no timer set, and is collected.
 *
 * A sink with open items is flushed once and then forgotten. Its flush may cause new items (telemetry about telemetry), and to flush those
 * too would keep the process alive for ever.
 */
export class BeforeExit {
  readonly #target: BeforeExitTarget;
  readonly #sinks = new Set<WeakRef<BeforeExitSink>>();
  readonly #collected = new FinalizationRegistry<WeakRef<BeforeExitSink>>((ref) => this.#forget(ref));
  readonly #onBeforeExit = () => {
    for (const ref of this.#sinks) this.#flush(ref);
  };

  constructor(target: BeforeExitTarget) {
    this.#target = target;
  }

  add(sink: BeforeExitSink): void {
    const ref = new WeakRef(sink);
    if (this.#sinks.size === 0) this.#target.on('beforeExit', this.#onBeforeExit);
    this.#sinks.add(ref);
    this.#collected.register(sink, ref);
  }

  #flush(ref: WeakRef<BeforeExitSink>): void {
    const sink = ref.deref();
    if (sink?.isIdle === true) return;
    this.#forget(ref);
    // What it fails with is reported by the sink.
    sink?.flush().catch(() => undefined);
  }

  #forget(ref: WeakRef<BeforeExitSink>): void {
    this.#sinks.delete(ref);
    if (this.#sinks.size === 0) this.#target.off('beforeExit', this.#onBeforeExit);
  }
}

export const beforeExit = new BeforeExit(process);
