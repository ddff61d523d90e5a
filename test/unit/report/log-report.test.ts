import { describe, expect, it } from 'vitest';
import { CopyError } from '../../../src/postgres/errors/copy-error.js';
import type { LogMessage } from '../../../src/log/log.js';
import { createReport } from '../../../src/report/index.js';
import { settle } from '../../support/manual-clock.js';
import { ScriptedLoad } from '../../support/scripted-load.js';

describe('a report of the load of a log', () => {
  it('has messages, lag, lanes, dead letters and outages, and no pressure states', async () => {
    const load = new ScriptedLoad();
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

  it('breaks the lines of lag while nobody can say how far the log is behind', async () => {
    const load = new ScriptedLoad();
    const report = createReport(load, { clock: load.clock });
    await load.clock.advance(3_000);
    load.answer = Promise.reject(new Error('out of reach'));
    load.answer.catch(() => undefined);
    await load.clock.advance(3_000);
    load.answer = load.behind(70, 9_000);
    await load.clock.advance(3_000);
    const html = report.toHtml();
    report.stop();
    const [path] = /(?<=id="lag-messages-chart-text"[^]*<path class="line p95" d=")[^"]+/.exec(html)!;
    // One part before the outage, at 0, and one behind it.
    const parts = path.split('M').slice(1);
    expect(parts).toHaveLength(2);
    expect(parts[0]).toMatch(/,100$/);
    expect(parts[1]).toMatch(/^4\d\d/);
  });

  it('asks at most once a second, and one question at a time', async () => {
    const load = new ScriptedLoad();
    const report = createReport(load, { clock: load.clock });
    await load.clock.advance(3_000);
    expect(load.asked).toBe(4);
    load.answer = new Promise(() => undefined);
    await load.clock.advance(10_000);
    expect(load.asked).toBe(5);
    report.stop();
  });

  it('has no charts of lag if it never gets an answer, and stops when the load ends', async () => {
    const load = new ScriptedLoad();
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
