/** What it costs to watch a sink: metrics that are scraped, spans, a report, channels; and what it costs to be watched by nobody. */

import { finished } from 'node:stream/promises';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Flight } from './flights/flight-source.js';
import { beforeChannels } from './support/before-channels.js';
import type { Candidate, Comparison } from './support/comparison.js';
import { makeItems, type Item } from './support/counting.js';
import type { Figures } from './support/figures.js';
import { withFlights, type FlightsBench } from './support/flights-bench.js';
import { BATCH_SIZE, candidate, writeAll } from './support/in-process.js';
import { reportCosts } from './support/report-costs.js';
import { unwatchedCopies, unwatchedWrites } from './support/unwatched.js';
import { PLAIN, watchers, type Watched, type Watcher } from './support/watching.js';

const COUNT = 1_000_000;
const ROUNDS = 21;

export async function* comparisons(count = COUNT): AsyncGenerator<Comparison | Figures, void> {
  const all = watchers();
  try {
    yield watchedWrites(makeItems(count), all);
    yield* withFlights(count, async function* (bench) {
      yield watchedCopies(bench, all);
      const sources = await beforeChannels();
      try {
        yield unwatchedWrites(sources, count);
        yield unwatchedCopies(sources, bench);
      } finally {
        await sources.remove();
      }
      yield* reportCosts(bench);
    });
  } finally {
    for (const watcher of all) watcher.close();
  }
}

function watchedCopies(bench: FlightsBench, all: readonly Watcher[]): Comparison {
  const { pool, table, rows } = bench;
  const load = async (attach: Attach): Promise<void> => {
    const sink = new BackpressureWritable<Flight>(copyInto<Flight>(pool, { table }));
    attach(sink);
    const done = finished(sink);
    for (const row of rows) {
      if (!sink.write(row)) await new Promise<void>((resolve) => sink.once('drain', resolve));
    }
    sink.end();
    await done;
  };
  return {
    title: 'Flights into PostgreSQL by copyInto, watched; processor time is the client’s alone',
    unit: 'rows',
    amount: rows.length,
    ...common,
    candidates: all.map((watcher) =>
      watched(watcher, (attach) => bench.candidate(watcher.name, () => load(attach))),
    ),
  };
}

function watchedWrites(items: readonly Item[], all: readonly Watcher[]): Comparison {
  return {
    title: `Write loop, batches of ${BATCH_SIZE} into an async no-op, watched`,
    unit: 'items',
    amount: items.length,
    ...common,
    perUnit: true,
    warmUps: 3,
    candidates: all.map((watcher) =>
      watched(watcher, (attach) =>
        candidate(items.length, watcher.name, (_take, flush) => {
          const sink = new BackpressureWritable<Item>(flush, { batchSize: BATCH_SIZE });
          attach(sink);
          return writeAll(sink, items);
        }),
      ),
    ),
  };
}

const common = { baseline: PLAIN, rounds: ROUNDS, isInProcess: true, hasIntervals: true } as const;

type Attach = (sink: Watched) => void;

/** A candidate whose sink is watched. What the watcher has seen is checked, too. */
function watched(watcher: Watcher, make: (attach: Attach) => Candidate): Candidate {
  let sink: Watched;
  const base = make((made) => {
    sink = made;
    watcher.attach(made);
  });
  const seen = (): Promise<string | undefined> => watcher.end(sink.getMetrics());
  return {
    name: watcher.name,
    async verify() {
      await watcher.start();
      const wrong = await base.verify();
      return (await seen()) ?? wrong;
    },
    async prepare() {
      await base.prepare?.();
      await watcher.start();
    },
    run: () => base.run(),
    async confirm() {
      const wrong = await seen();
      return wrong ?? base.confirm();
    },
  };
}
