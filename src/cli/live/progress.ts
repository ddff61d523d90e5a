/**
 * Progress of a command on standard error: a live view on a terminal, and elsewhere a plain line now and then.
 *
 * The view is a program of its own, which is loaded only if a command takes longer than a moment.
 */

import { unrefClock, systemClock, type Clock, type TimerHandle } from '../../common/clock.js';
import { writeLine } from '../common/terminal.js';
import type { startView } from './live-view.js';
import type { Reading } from './reading.js';

/** Commands that are over by then load no view. */
const VIEW_AFTER_MS = 200;
const PLAIN_INTERVAL_MS = 10_000;

type Environment = Readonly<Record<string, string | undefined>>;

export interface ProgressOptions {
  readonly quiet: boolean;
  readonly environment: Environment;
  /** Other output goes to the terminal meanwhile, past standard error: it would tear a view. */
  readonly sharesTerminal?: boolean;
  /** Interval of lines without a terminal. Default 10 000 ms; `false`: no lines. */
  readonly plainIntervalMs?: number | false;
  /** Tests turn its hands. */
  readonly clock?: Clock;
  readonly loadView?: () => Promise<{ readonly startView: typeof startView }>;
}

export interface ProgressSource {
  read(): Reading;
  /** The plain line. */
  line(seconds: number): string;
}

export interface Progress {
  /** Removes the view. */
  stop(): void;
}

/** Reports until it is stopped. Keeps neither the process nor its work waiting. */
export function startProgress(
  options: ProgressOptions,
  stream: NodeJS.WriteStream,
  source: ProgressSource,
): Progress {
  if (options.quiet) return { stop: () => undefined };
  const clock = unrefClock(options.clock ?? systemClock);
  if (options.sharesTerminal !== true && takesView(stream, options.environment))
    return liveProgress(options, stream, source, clock);
  const { plainIntervalMs = PLAIN_INTERVAL_MS } = options;
  return plainIntervalMs === false
    ? { stop: () => undefined }
    : plainProgress(stream, source, clock, plainIntervalMs);
}

/** A terminal that obeys cursor movements, with a person before it. */
export function takesView(stream: { readonly isTTY?: boolean }, { TERM, CI }: Environment): boolean {
  return stream.isTTY === true && TERM !== 'dumb' && [undefined, '', '0', 'false'].includes(CI);
}

function plainProgress(
  stream: NodeJS.WriteStream,
  source: ProgressSource,
  clock: Clock,
  intervalMs: number,
): Progress {
  const startedAt = clock.now();
  let last = '';
  let timer: TimerHandle;
  const wait = (): void => {
    timer = clock.setTimeout(() => {
      const line = source.line((clock.now() - startedAt) / 1_000);
      // Workers run for months: a log need not say every ten seconds that nothing has happened.
      if (line !== last) writeLine(stream, line);
      last = line;
      wait();
    }, intervalMs);
  };
  wait();
  return { stop: () => clock.clearTimeout(timer) };
}

function liveProgress(
  { environment, loadView = () => import('./live-view.js') }: ProgressOptions,
  stream: NodeJS.WriteStream,
  source: ProgressSource,
  clock: Clock,
): Progress {
  const startedAt = clock.now();
  let stopView: (() => void) | undefined;
  let isStopped = false;
  const timer = clock.setTimeout(() => {
    void loadView().then((view) => {
      if (!isStopped)
        stopView = view.startView({ stream, environment, clock, startedAt, read: () => source.read() });
    });
  }, VIEW_AFTER_MS);
  return {
    stop: () => {
      isStopped = true;
      clock.clearTimeout(timer);
      stopView?.();
    },
  };
}
