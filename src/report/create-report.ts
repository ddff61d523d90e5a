/** A report of a sink, as a page of HTML. */

import { InvalidOptionError } from '../api/errors.js';
import { systemClock, type Clock } from '../common/clock.js';
import type { ConsumeProgress } from '../postgres/consume/consume-progress.js';
import { messageOf } from '../common/thrown.js';
import { Recorder, type ReportTarget, type Recording } from './measure/recorder.js';
import { LOG_WORDS, STREAM_WORDS } from './page/charts.js';
import { count, duration } from './page/format.js';
import { section, table } from './page/markup.js';
import { page, type PageContents } from './page/page.js';
import { versions } from './versions.js';

export type { ReportTarget } from './measure/recorder.js';

export interface ReportOptions {
  /** The page's heading. Default: `Spillway report`. */
  title?: string;
  /**
   * How often `getMetrics()` is read, in milliseconds. Default 100. Each time that there are 600 samples, every two become one, and the
   * interval doubles.
   */
  intervalMs?: number;
  /** Shown as a table, by name, as they are: leave secrets out. */
  settings?: Readonly<Record<string, string | number | boolean>>;
  /** Default: the process's own. */
  clock?: Clock;
}

/** A recording that goes on until `stop()`, or until the stream closes. */
export interface Report {
  /** Returns the page with what was recorded up to now. */
  toHtml(): string;
  /** Ends the recording. `toHtml()` still returns the page. */
  stop(): void;
}

export const REPORT_OPTIONS: ReadonlySet<string> = new Set<keyof ReportOptions>([
  'title',
  'intervalMs',
  'settings',
  'clock',
]);

export const REPORT_DEFAULTS = { title: 'Spillway report', intervalMs: 100 } as const;

const SHORTEST_MS = 10;
const LONGEST_MS = 86_400_000;

/**
 * Records what a stream, a controller or the load of a log does from now on, for a page of HTML that needs no other file and no script.
 *
 * @throws {InvalidOptionError}
 */
export function createReport(target: ReportTarget, options: ReportOptions = {}): Report {
  if (typeof (target as Partial<ReportTarget> | undefined)?.getMetrics !== 'function')
    throw new InvalidOptionError(
      'target',
      'a report is made of a stream, a controller or what consumeLog() returns, with getMetrics()',
    );
  const { title = REPORT_DEFAULTS.title, settings = {}, clock = systemClock } = options;
  const { intervalMs = REPORT_DEFAULTS.intervalMs } = options;
  for (const name of Object.keys(options))
    if (!REPORT_OPTIONS.has(name)) refuse(name, 'left out: it is not known');
  if (typeof title !== 'string') refuse('title', 'a text');
  if (Object(settings) !== settings) refuse('settings', 'an object');
  if (!(intervalMs >= SHORTEST_MS && intervalMs <= LONGEST_MS))
    refuse('intervalMs', `a number of milliseconds from ${SHORTEST_MS} to ${LONGEST_MS}`);
  // An injected clock has a time of its own.
  const startedAt = clock === systemClock ? Date.now() : clock.now();
  const recorder = new Recorder(target, clock, intervalMs);
  const stop = (): void => {
    target.off?.('close', stop);
    recorder.stop();
  };
  target.on?.('close', stop);
  // A load of a log ends without such an event.
  (target as { finished?: Promise<void> }).finished?.then(stop, stop);
  return {
    stop,
    toHtml: () => {
      const recording = recorder.recording();
      return page({
        ...contentsOf(recording, recorder.isStopped),
        title,
        startedAt: new Date(startedAt),
        endedAt: new Date(startedAt + recording.durationMs),
        sections:
          Object.keys(settings).length === 0
            ? []
            : [
                section(
                  'settings',
                  'Settings',
                  table('As they were given', ['name', 'value'], rowsOf(settings)),
                ),
              ],
      });
    },
  };
}

function refuse(option: string, expected: string): never {
  throw new InvalidOptionError(option, `option '${option}' of createReport must be ${expected}`);
}

function rowsOf(settings: object): [string, string][] {
  return Object.entries(settings).map(([name, value]) => [name, String(value)]);
}

type Found = Pick<PageContents, 'status' | 'lines' | 'facts' | 'words' | 'recording' | 'versions'>;

function contentsOf(recording: Recording, isStopped: boolean): Found {
  const { metrics, intervals, durationMs, latencies, progress } = recording;
  const words = metrics.consumed === undefined ? STREAM_WORDS : LOG_WORDS;
  const { items } = words;
  const sum = (of: 'flushed' | 'failed' | 'dropped'): number =>
    intervals.reduce((all, interval) => all + interval[of], 0);
  const [flushed, failed, dropped] = [sum('flushed'), sum('failed'), sum('dropped')];
  const isLossless = failed === 0 && dropped === 0;
  const blockedMs = intervals.reduce((all, interval) => all + interval.blockedMs, 0);
  const end = isStopped ? 'Recorded' : 'Goes on; recorded so far';
  const loss = isLossless
    ? 'nothing was lost'
    : metrics.consumed === undefined
      ? `${count(failed)} failed, ${count(dropped)} were dropped`
      : `${count(failed)} dead letters, ${count(dropped)} lost`;
  return {
    status: metrics.isFailed
      ? { kind: 'bad', text: `Failed: ${messageOf(metrics.lastError)}` }
      : {
          kind: isLossless ? 'good' : 'warn',
          text: `${end}: ${count(flushed)} ${items} in ${duration(durationMs)}, ${loss}`,
        },
    lines: [],
    words,
    recording,
    versions: versions(),
    facts: [
      [words.delivered, count(flushed)],
      ['per second', count(durationMs > 0 ? (1000 * flushed) / durationMs : 0)],
      [words.failed, count(failed)],
      [words.dropped, count(dropped)],
      ['duration', duration(durationMs)],
      ...(metrics.state === undefined
        ? []
        : [['producers waited', duration(blockedMs)] as const, ['state now', metrics.state] as const]),
      ['in the buffer now', count(metrics.bufferSize + metrics.inFlight)],
      ...(progress === undefined ? [] : lagFacts(progress)),
      ...(metrics.flushes === undefined ? [] : [['flush calls', count(latencies.count)] as const]),
    ],
  };
}

/** How far a log was behind when it was asked last. */
function lagFacts({ lagMessages, lagMs }: ConsumeProgress): [string, string][] {
  return [
    ['messages behind at the last look', count(lagMessages)],
    ['time behind at the last look', duration(lagMs)],
  ];
}
