/** The pages of reports in a real browser: nothing is loaded or run, and they can be read wide and narrow, light and dark, and on paper. */

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BackpressureWritable } from 'spillway';
import { createReport } from 'spillway/report';
import { parseArguments } from '../../src/cli/args/parse-arguments.js';
import { ConsumeReport } from '../../src/cli/report/consume-report.js';
import { earlyConsumeJson } from '../../src/cli/report/consume-json.js';
import type { LogMessage } from '../../src/log/log.js';
import { CopyError } from '../../src/postgres/errors/copy-error.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedLoad } from '../support/scripted-load.js';

const found = spawnSync(
  'sh',
  ['-c', 'command -v chromium || command -v chromium-browser || command -v google-chrome'],
  {
    encoding: 'utf8',
  },
).stdout.trim();
const LONG = 'a_name_without_any_space_that_is_far_wider_than_a_narrow_screen_'.repeat(3);
const HOSTILE = `</title><script>window.hostile = 1</script><img src="http://127.0.0.1:9/x" onerror="window.hostile = 2">`;
/** The first look of Chromium at a machine that is busy takes its time. */
const START_MS = 50_000;

/** A minute of a stream whose destination is slow, then away, then well. */
async function htmlOfBusyStream(): Promise<string> {
  const clock = new ManualClock();
  let calls = 0;
  const sink = new BackpressureWritable<number>(
    async () => {
      calls += 1;
      const isAway = calls > 40 && calls < 45;
      await new Promise<void>((resolve) => clock.setTimeout(resolve, isAway ? 900 : 20 + 7 * (calls % 9)));
      if (isAway) throw Object.assign(new Error(HOSTILE), { code: 'ECONNREFUSED' });
    },
    {
      clock,
      strategy: 'drop_oldest',
      maxBufferSize: 500,
      batchSize: 50,
      breaker: { failures: 2, minDelayMs: 200 },
      onFailed: () => undefined,
    },
  );
  const report = createReport(sink, { clock, title: HOSTILE, settings: { [LONG]: LONG, mark: HOSTILE } });
  for (let turn = 0; turn < 300; turn += 1) {
    for (let n = 0; n < 60 + 40 * Math.sin(turn / 20); n += 1) sink.write(n);
    await clock.advance(100);
  }
  const html = report.toHtml();
  sink.destroy();
  report.stop();
  return html;
}

/** A minute of a worker that loads a backlog, with dead letters, messages that are gone, and an outage in the middle. */
async function htmlOfWorker(): Promise<string> {
  const args = `consume nats://127.0.0.1 --stream ${LONG} --table t --import i --allow-gaps`;
  const invocation = parseArguments([...args.split(' '), '--filter', HOSTILE]);
  if (invocation.command !== 'consume') throw new Error('these are no arguments of consume');
  const load = new ScriptedLoad();
  const report = new ConsumeReport(invocation.options, load.clock);
  report.watch(load);
  const refused = new CopyError(HOSTILE, { failureClass: 'row', sqlState: '23514' });
  const away = new CopyError(LONG, { failureClass: 'transport', sqlState: '57P01' });
  for (let second = 0; second < 60; second += 1) {
    const isAway = second >= 20 && second < 40;
    if (second === 20) load.observer.onBreaker('open', 'closed', away);
    if (second === 40) load.observer.onBreaker('closed', 'open', undefined);
    load.answer = isAway ? Promise.reject(away) : load.behind(Math.max(0, 50_000 - 1_000 * second), 5_000);
    load.answer.catch(() => undefined);
    if (isAway) load.observer.onRetry({ error: away, attempt: second, delayMs: 1_000, items: 10 });
    else {
      load.counts.rowsLoaded += 1_000 + 200 * (second % 5);
      load.counts.deadLetters += 1;
      load.counts.positionsLost += 2;
      load.observer.onFailed([{ item: {} as LogMessage, error: refused, weight: 1 }]);
      load.observer.onFlush({ ...FLUSH, latencyMs: 20 + (second % 9) });
    }
    await load.clock.advance(1_000);
  }
  const json = { ...earlyConsumeJson(invocation.options, away), lagMessages: 12, lagSeconds: 3 };
  const status = { kind: 'warn', text: HOSTILE } as const;
  return report.page({ status, lines: [LONG], json, servers: [['server', LONG]] });
}

const FLUSH = {
  ...({ attempt: 1, reason: 'size', items: 1_000, success: 999, failed: 1 } as const),
  ...{ transportFailure: false, error: undefined },
};

interface Subject {
  readonly what: string;
  readonly html: () => Promise<string>;
  readonly title: string;
  readonly headings: readonly string[];
  readonly charts: number;
}

const SUBJECTS: readonly Subject[] = [
  {
    what: 'of a stream',
    html: htmlOfBusyStream,
    title: HOSTILE,
    headings: [
      'Throughput',
      'Buffer and pressure',
      'Flush latency',
      'Drops and rejects',
      'Retries and outages',
      'Settings',
    ],
    charts: 4,
  },
  {
    what: 'of a worker of consume',
    html: htmlOfWorker,
    title: `Stream ${LONG} into "t"`,
    headings: [
      'Throughput',
      'Behind the log',
      'Buffer',
      'Flush latency',
      'Dead letters and losses',
      'Retries and outages',
      'Settings',
    ],
    charts: 6,
  },
];

describe.skipIf(found === '').each(SUBJECTS)(
  'the page of a report $what in Chromium (skipped if chromium is not installed)',
  ({ html, title, headings, charts }) => {
    let browser: Browser;
    let folder: string;
    let address: string;
    const requests: string[] = [];
    const messages: string[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-page-'));
      const file = path.join(folder, 'report.html');
      await writeFile(file, await html());
      address = pathToFileURL(file).href;
      browser = await chromium.launch({ executablePath: found, args: ['--no-sandbox'], timeout: START_MS });
    }, 2 * START_MS);
    afterAll(async () => {
      await browser.close();
      await rm(folder, { recursive: true, force: true });
    });

    async function open(options: Parameters<Browser['newPage']>[0]): Promise<Page> {
      const page = await browser.newPage(options);
      page.on('request', (request) => requests.push(request.url()));
      page.on('console', (message) => messages.push(message.text()));
      page.on('pageerror', (error) => messages.push(String(error)));
      await page.goto(address);
      return page;
    }

    test('nothing is loaded or run, with scripts on and off', async () => {
      for (const javaScriptEnabled of [true, false]) {
        const page = await open({ javaScriptEnabled });
        if (javaScriptEnabled) expect(await page.evaluate('window.hostile')).toBeUndefined();
        expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(title);
        await page.close();
      }
      expect(messages).toEqual([]);
      expect([...new Set(requests)]).toEqual([address]);
    });

    test.each(['light', 'dark'] as const)(
      'has no fault that axe finds, in %s colours',
      async (colorScheme) => {
        const page = await open({ colorScheme });
        await page.evaluate(`for (const found of document.querySelectorAll('details')) found.open = true`);
        await page.evaluate(axe.source);
        const { violations } = await page.evaluate<{
          violations: { id: string; nodes: { html: string }[] }[];
        }>('axe.run()');
        expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 200)}`)).toEqual([]);
        const back = await page.evaluate('getComputedStyle(document.body).backgroundColor');
        expect(back).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(21, 24, 28)');
        await page.close();
      },
    );

    test('has headings, landmarks, and charts with a name, a text and a table', async () => {
      const page = await open({});
      const found = await page.getByRole('heading', { level: 2 }).allTextContents();
      expect(found.map((text) => text.trim())).toEqual(headings);
      for (const role of ['banner', 'main', 'contentinfo'] as const)
        expect(await page.getByRole(role).count()).toBe(1);
      const figures = await page.locator('figure').all();
      expect(figures).toHaveLength(charts);
      for (const figure of figures) {
        const chart = figure.getByRole('img', { name: /\w+/ });
        expect(await chart.count()).toBe(1);
        expect((await chart.locator('desc').textContent())!.length).toBeGreaterThan(20);
        expect(await chart.locator('path[d*="NaN"]').count()).toBe(0);
        await figure.locator('summary').click();
        expect(await figure.getByRole('row').count()).toBeGreaterThan(10);
      }
      await page.close();
    });

    test.each([320, 375, 768, 1600])('fits a width of %i without scrolling sideways', async (width) => {
      const page = await open({ viewport: { width, height: 700 } });
      await page.evaluate(`for (const found of document.querySelectorAll('details')) found.open = true`);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      await page.close();
    });

    test('can be printed, with its charts', async () => {
      const page = await open({ colorScheme: 'dark' });
      const pdf = await page.pdf({ format: 'A4' });
      expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
      await page.emulateMedia({ media: 'print', colorScheme: 'light' });
      expect(await page.locator('svg').first().isVisible()).toBe(true);
      expect(await page.locator('summary').first().isVisible()).toBe(false);
      await page.close();
    });
  },
);
