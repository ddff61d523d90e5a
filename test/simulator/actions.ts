import type { SeededRandom } from '../support/seeded-random.js';
import type { SimulatedClock } from '../support/simulated-clock.js';
import type { Instants } from './instants.js';
import type { ItemBook } from './item-book.js';
import type { Journal } from './journal.js';
import { ControllerSurface, WritableSurface, type Surface } from './surface.js';

export interface Acted {
  surface: Surface;
  book: ItemBook;
  instants: Instants;
  journal: Journal;
}

/** What users do beside offering items, at random times: flush(), whenBelow(), drain(), stop() and start(). */
export class Actions {
  readonly #on: Acted;
  readonly #clock: SimulatedClock;
  readonly #random: SeededRandom;
  readonly #everyMs: number;
  readonly #mayAct: () => boolean;
  readonly #promises = new Set<string>();
  #named = 0;

  constructor(
    on: Acted,
    clock: SimulatedClock,
    random: SeededRandom,
    everyMs: number,
    mayAct: () => boolean,
  ) {
    this.#on = on;
    this.#clock = clock;
    this.#random = random;
    this.#everyMs = everyMs;
    this.#mayAct = mayAct;
  }

  /** Those that have not settled. */
  get openPromises(): string {
    return [...this.#promises].join(', ');
  }

  scheduleNext(): void {
    if (this.#everyMs === Infinity) return;
    this.#clock.after(this.#random.exponential(this.#everyMs), () => {
      if (!this.#mayAct()) return;
      this.#act(this.#random.int(0, 5));
      this.scheduleNext();
    });
  }

  #act(kind: number): void {
    const { surface, journal } = this.#on;
    if (kind <= 1) {
      journal.note('flush()', kind);
      this.#watchSettled('flush()', surface.flush());
    } else if (kind === 2) {
      const count = this.#random.logInt(1, 1_000);
      journal.note('whenBelow()', count);
      this.#watch('whenBelow()', surface.whenBelow(count));
    } else if (kind === 3) {
      if (surface instanceof ControllerSurface) this.#pause(surface);
      else if (surface instanceof WritableSurface) surface.emitter.cork();
    } else {
      const timeoutMs = this.#random.chance(0.5) ? undefined : this.#random.exponential(500);
      journal.note('drain()', timeoutMs ?? -1);
      this.#watchSettled('drain()', surface.drain(timeoutMs));
    }
  }

  #pause(surface: ControllerSurface): void {
    const { journal } = this.#on;
    journal.note('stop()', 0);
    surface.stop();
    this.#clock.after(this.#random.exponential(1_000), () => {
      if (surface.isClosing) return;
      journal.note('start()', 0);
      surface.start();
    });
  }

  /** `flush()` and `drain()`: whatever was offered before has settled when they resolve. */
  #watchSettled(what: string, promise: Promise<void>): void {
    const { book, instants, journal } = this.#on;
    const { offered } = book;
    const before = instants.flushMark;
    instants.flushMark = offered;
    const checked = promise.then(
      () => {
        const { oldestOpen } = book;
        journal.check(oldestOpen >= offered, () => `${what} resolved, but item ${oldestOpen} is open`);
      },
      () => {
        // It may give up: nothing is waited for any more then, but by those who asked before.
        instants.flushMark = Math.min(instants.flushMark, before);
      },
    );
    this.#watch(what, checked);
  }

  #watch(what: string, promise: Promise<unknown>): void {
    const name = `${what} no. ${this.#named++}`;
    this.#promises.add(name);
    const done = () => {
      this.#promises.delete(name);
    };
    promise.then(done, done);
  }
}
