/** The view of a long command, as a program of its own. It is drawn a few times a second, and at once when the terminal's size changes. */

import isUnicodeSupported from 'is-unicode-supported';
import type { Clock, TimerHandle } from '../../common/clock.js';
import { duration } from '../common/counted.js';
import { layout, type Block } from './block.js';
import { ConsumeTracker, consumeBlock } from './consume-block.js';
import { LoadTracker, loadBlock } from './load-block.js';
import type { Reading } from './reading.js';
import { Screen } from './screen.js';
import { createStyle, type Style } from './style.js';

const INTERVAL_MS = 250;

type Environment = Readonly<Record<string, string | undefined>>;

export interface ViewOptions {
  readonly stream: NodeJS.WriteStream;
  readonly environment: Environment;
  readonly clock: Clock;
  /** When the command began. */
  readonly startedAt: number;
  readonly read: () => Reading;
}

/** @returns a function that removes the view */
export function startView({ stream, environment, clock, startedAt, read }: ViewOptions): () => void {
  const style = createStyle({
    isUnicode: isUnicodeSupported() && hasUtf8(environment),
    hasColours: stream.hasColors(environment as NodeJS.ProcessEnv),
  });
  const screen = new Screen(stream, { wrapsAgain: wrapsAgain(environment) });
  const tracker = new Tracker(startedAt);
  let timer: TimerHandle;
  let block: Block;
  const draw = (): void => screen.draw(layout(block, screen.size, style));
  const tick = (): void => {
    block = tracker.block(read(), clock.now(), style);
    draw();
    timer = clock.setTimeout(tick, INTERVAL_MS);
  };
  tick();
  stream.on('resize', draw);
  return () => {
    clock.clearTimeout(timer);
    stream.off('resize', draw);
    screen.close();
  };
}

/** Samples at each tick what the block is made of. */
class Tracker {
  readonly #startedAt: number;
  readonly #load = new LoadTracker();
  readonly #consume = new ConsumeTracker();

  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  block(reading: Reading, now: number, style: Style): Block {
    const elapsedMs = now - this.#startedAt;
    switch (reading.kind) {
      case 'load':
        return loadBlock(this.#load.sample(reading, now, elapsedMs), style);
      case 'consume':
        return consumeBlock(this.#consume.sample(reading, now, elapsedMs), style);
      case 'task':
        return {
          title: reading.title,
          elapsed: duration(elapsedMs),
          rows: [],
          notes: reading.doing === undefined ? [] : [{ text: reading.doing }],
          short: [],
        };
    }
  }
}

/** Without any of the variables, the terminal is taken to be one of today. */
function hasUtf8({ LC_ALL, LC_CTYPE, LANG }: Environment): boolean {
  const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== '');
  return locale === undefined || /utf-?8/i.test(locale);
}

/** xterm and GNU screen cut lines when they become narrower. The others wrap them. */
function wrapsAgain({ XTERM_VERSION, STY, TMUX }: Environment): boolean {
  return TMUX !== undefined || (XTERM_VERSION === undefined && STY === undefined);
}
