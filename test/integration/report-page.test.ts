/** The page of a report in a real browser: nothing is loaded or run, and it can be read wide and narrow, light and dark, and on paper. */

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
import { ManualClock } from '../support/manual-clock.js';

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

describe.skipIf(found === '')(
  'the page of a report in Chromium (skipped if chromium is not installed)',
  () => {
    let browser: Browser;
    let folder: string;
    let address: string;
    const requests: string[] = [];
    const messages: string[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-page-'));
      const file = path.join(folder, 'report.html');
      await writeFile(file, await htmlOfBusyStream());
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
        expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(HOSTILE);
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
      const headings = await page.getByRole('heading', { level: 2 }).allTextContents();
      expect(headings.map((text) => text.trim())).toEqual([
        'Throughput',
        'Buffer and pressure',
        'Flush latency',
        'Drops and rejects',
        'Retries and outages',
        'Settings',
      ]);
      for (const role of ['banner', 'main', 'contentinfo'] as const)
        expect(await page.getByRole(role).count()).toBe(1);
      const figures = await page.locator('figure').all();
      expect(figures).toHaveLength(4);
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
