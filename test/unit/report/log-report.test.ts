import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { emptyCounts, snapshot } from '../../../src/postgres/consume/consume-metrics.js';
import type { ConsumeProgress } from '../../../src/postgres/consume/consume-progress.js';
import { ConsumeObserver } from '../../../src/postgres/consume/consume-observer.js';
import { CopyError } from '../../../src/postgres/errors/copy-error.js';
import type { LogMessage } from '../../../src/log/log.js';
import { createReport } from '../../../src/report/index.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

/** What `consumeLog` returns, on a manual clock. */
class Load extends EventEmitter {
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

describe('a report of the load of a log', () => {
  it('has messages, lag, lanes, dead letters and outages, and no pressure states', async () => {
    const load = new Load();
    load.answer = load.behind(1_234, 65_000);
    const report = createReport(load, { clock: load.clock, title: 'Orders' });
    await load.clock.advance(1_000);
    load.counts.rowsLoaded = 40;
    load.counts.deadLetters = 2;
    load.counts.positionsLost = 3;
    const error = new CopyError('no such day', { failureClass: 'row', sqlState: '22008' });
    load.observer.onFailed([1, 2].map(() => ({ item: {} as LogMessage, error, weight: 1 })));
    const lost = new CopyError('connection reset', { failureClass: 'transport', sqlState: '08006' });
    load.observer.onRetry({ error: lost, attempt: 1, delayMs: 100, items: 10 });
    load.observer.onBreaker('open', 'closed', lost);
    await load.clock.advance(2_000);
    load.observer.onBreaker('closed', 'open', undefined);
    const html = report.toHtml();
    report.stop();
    expect(html).toContain('Goes on; recorded so far: 40 messages in 3 s, 2 dead letters, 3 lost');
    expect(html).toContain('Messages that were not loaded');
    expect(html).toContain('Messages that no worker had loaded: at most 1,234, and 1,234 at the last look.');
    expect(html).toContain('at most 1 min 5 s old, and 1 min 5 s at the last look.');
    expect(html).toContain('Lanes at the last look: 1 read here, 2 elsewhere, 3 free, and 4 finished.');
    expect(html).toContain('messages behind at the last look');
    expect(html).toMatch(/Dead letters, by cause[\s\S]*22008[\s\S]*no such day/);
    expect(html).toContain('3 positions of the log had been deleted before they were loaded.');
    expect(html).toMatch(/Outages: the log or the database could not be reached[\s\S]*08006/);
    expect(html).not.toContain('Pressure state');
    expect(html).not.toMatch(/NaN|undefined/);
  });

  it('asks at most once a second, and one question at a time', async () => {
    const load = new Load();
    const report = createReport(load, { clock: load.clock });
    await load.clock.advance(3_000);
    expect(load.asked).toBe(4);
    load.answer = new Promise(() => undefined);
    await load.clock.advance(10_000);
    expect(load.asked).toBe(5);
    report.stop();
  });

  it('has no charts of lag if it never gets an answer, and stops when the load ends', async () => {
    const load = new Load();
    load.answer = Promise.reject(new Error('out of reach'));
    load.answer.catch(() => undefined);
    const report = createReport(load, { clock: load.clock });
    await load.clock.advance(2_000);
    load.end();
    await settle();
    await load.clock.advance(500);
    expect(load.clock.pending).toBe(0);
    expect(report.toHtml()).not.toContain('Behind the log');
  });
});
