/** The two public faces of the engine, as one thing that a run can drive. */

import {
  BackpressureController,
  BackpressureError,
  BackpressureWritable,
  type FlushFunction,
  type SinkMetrics,
  type WritableOptions,
} from '../../src/index.js';
import type { Item } from './item.js';

export interface Surface {
  /** How it ended: the error, or `null` for a good end; undefined while it has not. */
  readonly end: Error | null | undefined;
  /** No producer is heard any more. */
  readonly isClosing: boolean;
  /** A producer was told to wait, as these metrics of now have it. */
  isHeld(metrics: SinkMetrics): boolean;
  readonly isStopped: boolean;
  readonly emitter: BackpressureController<Item> | BackpressureWritable<Item>;
  getMetrics(): SinkMetrics;
  flush(): Promise<void>;
  whenBelow(count: number): Promise<void>;
  drain(timeoutMs: number | undefined): Promise<void>;
  takeUnsettled(): Item[];
  /** Answers with `true` where the producer may go on, else with a promise that resolves when it may. */
  offer(item: Item, heedful: boolean): true | Promise<unknown>;
  close(how: 'end' | 'dispose' | 'abort'): void;
}

/** What a run learns from a surface. */
export interface SurfaceObserver {
  /** The producer learns what became of its item. */
  onAnswer(item: Item, admitted: boolean): void;
  onEnd(): void;
  violated(message: string): void;
}

export class WritableSurface implements Surface {
  end: Error | null | undefined;
  isClosing = false;
  readonly isStopped = false;
  readonly emitter: BackpressureWritable<Item>;
  readonly #observer: SurfaceObserver;
  readonly #blocks: boolean;
  #isDestroyed = false;
  #drained: Promise<void> | undefined;

  constructor(flush: FlushFunction<Item>, options: WritableOptions<Item>, observer: SurfaceObserver) {
    this.#observer = observer;
    this.#blocks = options.strategy === 'block';
    this.emitter = new BackpressureWritable<Item>(flush, options);
    let error: Error | null = null;
    let finished = false;
    this.emitter
      .on('finish', () => (finished = true))
      .on('error', (thrown) => {
        error = thrown;
        this.isClosing = true;
      })
      .on('close', () => {
        this.isClosing = true;
        if (error === null && !finished && !this.#isDestroyed)
          observer.violated("'close' without 'finish' or 'error'");
        this.end = error;
        observer.onEnd();
      });
  }

  isHeld(): boolean {
    return this.emitter.writableNeedDrain;
  }

  getMetrics(): SinkMetrics {
    return this.emitter.getMetrics();
  }

  flush(): Promise<void> {
    return this.emitter.flush();
  }

  whenBelow(count: number): Promise<void> {
    return this.emitter.whenBelow(count);
  }

  drain(timeoutMs: number | undefined): Promise<void> {
    return this.emitter.drain(timeoutMs === undefined ? {} : { timeoutMs });
  }

  takeUnsettled(): Item[] {
    return this.emitter.takeUnsettled();
  }

  offer(item: Item): true | Promise<unknown> {
    if (item.id % 16 !== 0) return this.emitter.write(item) || this.#wait();
    // The callback of a write says that its item was admitted.
    let calls = 0;
    const mayGoOn = this.emitter.write(item, (error) => {
      if (++calls > 1) this.#observer.violated(`the callback for item ${item.id} was called twice`);
      // Without an error it was decided on, which may be a drop.
      if (error) this.#observer.onAnswer(item, false);
    });
    return mayGoOn || this.#wait();
  }

  #wait(): Promise<void> {
    if (this.emitter.destroyed) return Promise.resolve();
    if (!this.#blocks) this.#observer.violated('a dropping strategy asked its producer to wait');
    this.#drained ??= new Promise<void>((resolve) => {
      const go = () => {
        this.#drained = undefined;
        this.emitter.off('drain', go);
        this.emitter.off('close', go);
        resolve();
      };
      this.emitter.on('drain', go).on('close', go);
    });
    return this.#drained;
  }

  close(how: 'end' | 'dispose' | 'abort'): void {
    this.isClosing = true;
    if (how === 'end') this.emitter.end();
    else if (how === 'abort') {
      this.#isDestroyed = true;
      this.emitter.destroy();
    } else this.emitter[Symbol.asyncDispose]().catch(() => undefined);
  }
}

export class ControllerSurface implements Surface {
  end: Error | null | undefined;
  isClosing = false;
  isStopped = false;
  drains = 0;
  readonly emitter: BackpressureController<Item>;
  readonly #observer: SurfaceObserver;

  constructor(flush: FlushFunction<Item>, options: WritableOptions<Item>, observer: SurfaceObserver) {
    this.#observer = observer;
    this.emitter = new BackpressureController<Item>(flush, options);
    this.emitter.start();
  }

  isHeld({ waiting }: SinkMetrics): boolean {
    return waiting > 0;
  }

  getMetrics(): SinkMetrics {
    return this.emitter.getMetrics();
  }

  flush(): Promise<void> {
    return this.emitter.flush();
  }

  whenBelow(count: number): Promise<void> {
    return this.emitter.whenBelow(count);
  }

  takeUnsettled(): Item[] {
    return this.emitter.takeUnsettled();
  }

  offer(item: Item, heedful: boolean): true | Promise<unknown> {
    // Those who cannot wait, now and then.
    if (item.id % 7 === 0) return this.#tryPush(item);
    const pushed = this.emitter.push(item).then(
      (admitted) => this.#observer.onAnswer(item, admitted),
      (error: unknown) => this.#refused(item, error as Error),
    );
    return heedful ? pushed : true;
  }

  #tryPush(item: Item): true {
    try {
      this.#observer.onAnswer(item, this.emitter.tryPush(item));
    } catch (thrown) {
      this.#refused(item, thrown as Error);
    }
    return true;
  }

  #refused(item: Item, error: Error): void {
    // One whose push waited while everything failed was never admitted either.
    this.#observer.onAnswer(item, false);
    const overflows = error instanceof BackpressureError && error.code === 'ERR_BACKPRESSURE_OVERFLOW';
    // The producer learns that it is over.
    if (!overflows && !this.isClosing) this.close('end');
  }

  stop(): void {
    this.isStopped = true;
    this.emitter.stop();
  }

  start(): void {
    this.isStopped = false;
    this.emitter.start();
  }

  drain(timeoutMs: number | undefined): Promise<void> {
    this.drains++;
    return this.emitter.drain(timeoutMs === undefined ? {} : { timeoutMs }).finally(() => this.drains--);
  }

  close(how: 'end' | 'dispose' | 'abort'): void {
    this.isClosing = true;
    this.start();
    this.drains++;
    const over = (error: Error | null) => {
      this.drains--;
      this.end = error;
      this.emitter.stop();
      this.#observer.onEnd();
    };
    const ended = how === 'dispose' ? this.emitter[Symbol.asyncDispose]() : this.emitter.drain();
    ended.then(() => over(null), over);
  }
}
