/** Progress on standard error: a live line on a terminal, a plain one now and then elsewhere. */

import type { SingleBar } from 'cli-progress';
import type { SinkMetrics } from '../../api/metrics.js';
import { counted, mebibytes } from '../common/counted.js';
import { printable, writeLine } from '../common/terminal.js';

const LIVE_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 10_000;

export interface ProgressReading {
  /** How much of the input was read, in the unit of `total`, which is undefined if unknown. */
  readonly done: number;
  readonly total: number | undefined;
  readonly metrics: SinkMetrics;
  readonly isStopping: boolean;
  /** What the load waits for, if something is wrong. */
  readonly waitingFor?: string | undefined;
}

export interface ProgressOptions {
  readonly quiet: boolean;
  /** Interval of lines without a terminal. Default 10 000 ms. */
  readonly plainIntervalMs?: number;
}

export interface Progress {
  stop(): void;
}

/** Reports what `read` returns until it is stopped. Keeps neither the process nor the load waiting. */
export function startProgress(
  options: ProgressOptions,
  stream: NodeJS.WriteStream,
  read: () => ProgressReading,
): Progress {
  if (options.quiet) return { stop: () => undefined };
  return stream.isTTY
    ? liveProgress(stream, read)
    : plainProgress(stream, read, options.plainIntervalMs ?? PLAIN_INTERVAL_MS);
}

function plainProgress(
  stream: NodeJS.WriteStream,
  read: () => ProgressReading,
  intervalMs: number,
): Progress {
  const startedAt = performance.now();
  const timer = setInterval(() => {
    writeLine(stream, plainLine(read(), (performance.now() - startedAt) / 1000));
  }, intervalMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** Exported for its test. */
export function plainLine(reading: ProgressReading, seconds: number): string {
  const { metrics, total, done } = reading;
  const rate = counted(Math.round(metrics.eventsFlushed / seconds), 'row');
  const share =
    total === undefined || total === 0
      ? `${mebibytes(done)} read`
      : `${Math.floor((100 * done) / total)} % read`;
  return `${counted(metrics.eventsFlushed, 'row')}, ${rate}/s, ${stateOf(reading)}, ${share}`;
}

function stateOf({ metrics, isStopping, waitingFor }: ProgressReading): string {
  const state = isStopping ? 'stopping' : metrics.state;
  return waitingFor === undefined ? state : `${state}, waiting for ${waitingFor}`;
}

function liveProgress(stream: NodeJS.WriteStream, read: () => ProgressReading): Progress {
  const startedAt = performance.now();
  let bar: SingleBar | undefined;
  let isStopped = false;
  const update = (): void => {
    const reading = read();
    const seconds = (performance.now() - startedAt) / 1000;
    bar?.update(Math.min(reading.done, reading.total ?? Infinity), {
      rows: counted(reading.metrics.eventsFlushed, 'row'),
      rate: counted(Math.round(reading.metrics.eventsFlushed / seconds), 'row'),
      state: printable(stateOf(reading)),
      read: mebibytes(reading.done),
    });
  };
  const timer = setInterval(update, LIVE_INTERVAL_MS);
  timer.unref();
  // Not needed by a load that is over before the first update, nor elsewhere than on a terminal.
  void import('./progress-bar.js').then(({ default: cliProgress }) => {
    if (isStopped) return;
    const { total } = read();
    const share = total === undefined ? '{read} read' : '{bar} {percentage} % | ETA {eta_formatted}';
    bar = new cliProgress.SingleBar(
      {
        stream,
        format: `${share} | {rows} | {rate}/s | {state}`,
        barsize: 24,
        clearOnComplete: true,
        // It would put a handler of its own on SIGINT.
        gracefulExit: false,
        linewrap: null,
        etaBuffer: 50,
      },
      cliProgress.Presets.shades_classic,
    );
    bar.start(total ?? 0, 0, { rows: '0 rows', rate: '0 rows', state: 'normal', read: mebibytes(0) });
    update();
  });
  return {
    stop: () => {
      isStopped = true;
      clearInterval(timer);
      bar?.stop();
    },
  };
}
