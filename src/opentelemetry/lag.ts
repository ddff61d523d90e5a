/** How far logs are behind, looked up when metrics are collected. */

import type { ConsumeProgress } from '../postgres/consume/consume-progress.js';

/** A log, such as `consumeLog` returns. */
export interface LogTarget {
  progress(): Promise<ConsumeProgress>;
  getMetrics(): { readonly waitingFor: string | undefined };
}

export interface Lag {
  readonly messages: number;
  readonly seconds: number;
}

/** A collection must not wait for as long as a scrape does. */
const LOOK_LIMIT_MS = 2_000;

export function isLog<Target extends object>(target: Target): target is Target & LogTarget {
  return typeof (target as Partial<LogTarget>).progress === 'function';
}

const NOT_KNOWN: Lag = { messages: NaN, seconds: NaN };

/**
 * The worst of several logs.
 *
 * When nobody knows it any more, it is `NaN` once, and then nothing. The SDK for JavaScript repeats a value that is no longer observed for
 * ever, although the specification says that it should not: a lag of the past would look like one of today.
 */
export class LagReader {
  readonly #found = new WeakMap<LogTarget, ConsumeProgress>();
  #isReported = false;

  /** @returns undefined if there is nothing to report */
  async read(targets: Iterable<LogTarget>): Promise<Lag | undefined> {
    const found = await Promise.all([...targets].map((target) => this.#look(target)));
    const known = found.filter((lag) => lag !== undefined);
    const wasReported = this.#isReported;
    this.#isReported = known.length > 0;
    if (known.length === 0) return wasReported ? NOT_KNOWN : undefined;
    return {
      messages: Math.max(...known.map(({ messages }) => messages)),
      seconds: Math.max(...known.map(({ seconds }) => seconds)),
    };
  }

  async #look(target: LogTarget): Promise<Lag | undefined> {
    // During an outage, there would be no answer.
    const isOut = target.getMetrics().waitingFor !== undefined;
    const found = isOut ? undefined : await withinLimit(target.progress());
    if (found !== undefined) this.#found.set(target, found);
    const known = found ?? this.#found.get(target);
    if (known === undefined) return undefined;
    // What has not been loaded gets older.
    const sinceMs = known.lagMs > 0 ? Math.max(0, Date.now() - known.at.getTime()) : 0;
    return { messages: known.lagMessages, seconds: (known.lagMs + sinceMs) / 1_000 };
  }
}

/** Undefined if it is not known in time, or cannot be found out. */
async function withinLimit(look: Promise<ConsumeProgress>): Promise<ConsumeProgress | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), LOOK_LIMIT_MS);
  });
  try {
    return await Promise.race([look, limit]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
