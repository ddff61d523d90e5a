/** A recording, and what is known besides, as one page of HTML that needs nothing else. Pure. */

import type { Cause } from '../measure/causes.js';
import type { Outage, Recording } from '../measure/recorder.js';
import { charts, type Words } from './charts.js';
import { count, duration, time } from './format.js';
import { facts, html, NOTHING, section, table, type Markup } from './markup.js';
import { STYLE } from './style.js';

export interface PageContents {
  readonly title: string;
  /** How it ended, or that it goes on. */
  readonly status: { readonly kind: 'good' | 'warn' | 'bad'; readonly text: string };
  /** Lines below it. */
  readonly lines: readonly string[];
  readonly facts: readonly (readonly [string, string])[];
  readonly words: Words;
  /** Undefined if it failed before there was something to record. */
  readonly recording: Recording | undefined;
  /** Counts by cause that are not the recording's. */
  readonly rejects?: readonly Cause[];
  /** Sections that stand behind the charts. */
  readonly sections: readonly Markup[];
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly versions: readonly (readonly [string, string])[];
}

/** Nothing is loaded, no script runs, and no form is sent, whatever the page shows. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

export function page(contents: PageContents): string {
  const { title, status, lines, recording, words, sections, startedAt, endedAt, versions } = contents;
  const version = versions.map(([name, value]) => `${name} ${value}`).join(', ');
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <meta name="robots" content="noindex" />
        <title>${title}</title>
        <style>
          ${{ html: STYLE }}
        </style>
      </head>
      <body>
        <header>
          <h1>${title}</h1>
          <p class="status ${status.kind}">${status.text}</p>
          ${lines.map((line) => html`<p>${line}</p> `)}
          <p class="soft">${time(startedAt)} to ${time(endedAt)}</p>
        </header>
        <main>
          ${contents.facts.length === 0 ? NOTHING : facts(contents.facts)}${recording === undefined ? NOTHING : charts(recording, words)}${losses(contents)}${recording === undefined ? NOTHING : trouble(recording, words)}${sections}
        </main>
        <footer>
          <p>Made by ${version}. The page holds everything that it shows, and loads nothing.</p>
        </footer>
      </body>
    </html> `.html;
}

const COUNT = { name: 'count', isNumber: true } as const;

/** What was not stored: by the reason of the drop, and by the cause of the failure. */
function losses({ recording, rejects = [], words }: PageContents): Markup {
  const reasons = Object.entries(recording?.metrics.dropsByReason ?? {}).filter(([, dropped]) => dropped > 0);
  const failures = recording?.failures ?? [];
  const lost = recording?.metrics.consumed?.positionsLost ?? 0;
  const none = html`<p>None: no ${words.items} were dropped, rejected or failed.</p> `;
  const tables = [
    ...(reasons.length === 0
      ? []
      : [
          table(
            'Dropped, by reason',
            ['reason', COUNT],
            reasons.map(([reason, dropped]) => [reason, count(dropped)]),
          ),
        ]),
    ...(lost === 0
      ? []
      : [html`<p>${count(lost)} positions of the log had been deleted before they were loaded.</p> `]),
    ...causeTable('Rejected, by cause', rejects),
    ...causeTable(`${capitalised(words.failed)}, by cause`, failures),
  ];
  return section('losses', words.losses, tables.length === 0 ? none : tables);
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function causeTable(caption: string, causes: readonly Cause[]): Markup[] {
  if (causes.length === 0) return [];
  const rows = causes.map(({ code, count: number, message }) => [code, count(number), message]);
  return [table(caption, ['code', COUNT, 'the first message'], rows)];
}

function trouble({ retries, outages, moreOutages, durationMs }: Recording, { outage }: Words): Markup {
  const none = html`<p>None: nothing had to be tried again.</p> `;
  const more = html`<p>${count(moreOutages)} more outages were counted only.</p> `;
  const tables = [
    ...causeTable('Retries, by cause', retries),
    ...(outages.length === 0 ? [] : [outageTable(outages, durationMs, outage)]),
    ...(moreOutages === 0 ? [] : [more]),
  ];
  return section('trouble', 'Retries and outages', tables.length === 0 ? none : tables);
}

function outageTable(outages: readonly Outage[], nowMs: number, what: string): Markup {
  return table(
    `Outages: ${what}`,
    [{ name: 'from', isNumber: true }, { name: 'for', isNumber: true }, 'code', 'cause'],
    outages.map(({ startMs, endMs, cause }) => [
      duration(startMs),
      endMs === undefined ? `${duration(nowMs - startMs)}, until the end` : duration(endMs - startMs),
      cause.code,
      cause.message,
    ]),
  );
}
