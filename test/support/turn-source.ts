import type { TurnSource } from '../../src/common/turn-budget.js';

/** Turns of an event loop that a test begins itself, and a clock that it turns. */
export class ManualTurns implements TurnSource {
  nowMs = 0;
  #callbacks: (() => void)[] = [];

  now(): number {
    return this.nowMs;
  }

  onNextTurn(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  /** Something waits for the next turn. */
  get isAwaited(): boolean {
    return this.#callbacks.length > 0;
  }

  /** Begins the next turn, and lets what goes on in it come to its next wait. */
  async next(): Promise<void> {
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const callback of callbacks) {
      callback();
      await settled();
    }
  }

  /** Turn after turn, until nothing waits any more. Returns how many there were. */
  async all(): Promise<number> {
    let turns = 0;
    for (; this.isAwaited; turns += 1) await this.next();
    return turns;
  }
}

/** Everything that follows without I/O has happened. */
async function settled(): Promise<void> {
  for (let step = 0; step < 20; step += 1) await Promise.resolve();
}
