/** What `consumeLog` returns, as a test tells it to be. */

import { EventEmitter } from 'node:events';
import { emptyCounts, snapshot } from '../../src/postgres/consume/consume-metrics.js';
import { ConsumeObserver } from '../../src/postgres/consume/consume-observer.js';
import type { ConsumeProgress } from '../../src/postgres/consume/consume-progress.js';
import { ManualClock } from './manual-clock.js';

/** On a manual clock. */
export class ScriptedLoad extends EventEmitter {
  readonly clock = new ManualClock();
  readonly counts = emptyCounts();
  readonly observer = new ConsumeObserver(this);
  asked = 0;
  answer: Promise<ConsumeProgress> = this.behind(0, 0);
  end!: () => void;
  readonly finished = new Promise<void>((resolve) => (this.end = resolve));
  getMetrics = () => snapshot(this.counts, this.clock);

  progress(): Promise<ConsumeProgress> {
    this.asked += 1;
    return this.answer;
  }

  behind(lagMessages: number, lagMs: number): Promise<ConsumeProgress> {
    return Promise.resolve({
      ...{ at: new Date(0), lagMessages, lagMs, lanesHeldHere: 1, lanesHeldElsewhere: 2 },
      ...{ lanesFree: 3, lanesFinished: 4, rowsLoaded: 5, deadLetters: 6 },
    });
  }
}
