import { describe, expect, it } from 'vitest';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { createReport, type ReportOptions } from '../../../src/report/index.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const HOSTILE = '</style><script>alert("1")</script>\u202e\u0007\n<img src=x onerror=\'y\'>';

describe('createReport', () => {
  it.each([
    ['a writable', () => new BackpressureWritable<number>(async () => undefined)],
    ['a controller', () => new BackpressureController<number>(async () => undefined)],
    ['a transform', () => new BackpressureTransform<number, number>()],
  ])('makes a page of %s', (_, make) => {
    const clock = new ManualClock();
    const report = createReport(make(), { title: 'Mine', clock });
    const html = report.toHtml();
    expect(html).toContain('<h1>Mine</h1>');
    expect(html.trim().endsWith('</html>')).toBe(true);
    report.stop();
    expect(clock.pending).toBe(0);
  });

  it('stops when the stream closes', async () => {
    const clock = new ManualClock();
    const sink = new BackpressureWritable<number>(async () => undefined, { clock });
    const report = createReport(sink, { clock });
    sink.end(1);
    await settle();
    await clock.advance(500);
    expect(clock.pending).toBe(0);
    expect(report.toHtml()).toContain('Recorded: 1 items in');
  });

  it('lets its target go when it stops', () => {
    const controller = new BackpressureController<number>(async () => undefined);
    createReport(controller, { clock: new ManualClock() }).stop();
    expect(controller.eventNames()).toEqual([]);
  });

  it.each([
    [400, ['0 ms', '100 ms', '200 ms', '300 ms', '400 ms']],
    [1_900, ['0 s', '0.5 s', '1 s', '1.5 s', '2 s']],
  ])('has one unit on the axis of latencies up to %d ms', async (latencyMs, labels) => {
    const clock = new ManualClock();
    const flush = () =>
      new Promise<undefined>((resolve) => void clock.setTimeout(() => resolve(undefined), latencyMs));
    const sink = new BackpressureWritable<number>(flush, { clock, batchSize: 1 });
    const report = createReport(sink, { clock });
    sink.write(1);
    await clock.advance(latencyMs + 100);
    const chart = report.toHtml().split('Flush latency of the whole time').at(-1)!;
    const axis = /<div class="y"[^>]*>(.*?)<\/div>/s.exec(chart)![1]!;
    expect([...axis.matchAll(/>([^<]+)<\/span>/g)].map(([, label]) => label)).toEqual(labels);
    sink.destroy();
    report.stop();
  });

  it.each([
    [undefined, {}, /getMetrics/],
    [{}, {}, /getMetrics/],
    [undefined, { intervalMs: 5 }, /getMetrics/],
  ])('refuses the target %j', (target, options, message) => {
    expect(() => createReport(target as never, options)).toThrow(message);
  });

  it.each([
    [{ intervalMs: 5 }, /'intervalMs' of createReport must be a number of milliseconds from 10/],
    [{ intervall: 5 }, /'intervall' of createReport must be left out/],
    [{ title: 5 }, /'title' of createReport must be a text/],
    [{ settings: null }, /'settings' of createReport must be an object/],
    [{ settings: 'x' }, /'settings' of createReport must be an object/],
  ])('refuses %j', (options, message) => {
    const sink = new BackpressureController<number>(async () => undefined);
    expect(() => createReport(sink, options as unknown as ReportOptions)).toThrow(message);
  });

  it('escapes everything that comes from outside', async () => {
    const clock = new ManualClock();
    const sink = new BackpressureWritable<number>(
      async () => {
        throw Object.assign(new Error(`password=geheim ${HOSTILE}`), { code: HOSTILE });
      },
      { clock, batchSize: 1, breaker: false, onFailed: () => undefined },
    );
    const report = createReport(sink, { clock, title: HOSTILE, settings: { [HOSTILE]: HOSTILE } });
    sink.write(1);
    await clock.advance(1000);
    const html = report.toHtml();
    expect(html).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\\u202e\\x07\\n&lt;img');
    expect(html).not.toMatch(/<script|<img|onerror='|geheim/);
    expect(html.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e]/u);
    sink.destroy();
    report.stop();
  });
});
