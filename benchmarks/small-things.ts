/** What small things cost: the life of a stream for one item, a snapshot of the metrics, and many callers that wait at the same time. */

import { PassThrough, Writable, type Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from 'spillway';
import { HandWrittenBatching } from './support/in-process.js';
import type { Item } from './support/counting.js';
import type { Figures } from './support/figures.js';
import { cpuNanoseconds, measureCosts, type Work } from './support/small-costs.js';
import { medianInterval, spreadOf } from './support/statistics.js';

const LIVES = 5_000;
const ROUNDS = 21;
/** So many lives at the same time, where they overlap. */
const AT_ONCE = 100;
const FEW_CALLERS = 1_000;
const MANY_CALLERS = 32_000;
/** Room for all callers' items: nobody waits for anything but settlement. */
const ROOMY = { maxBufferSize: 2 * MANY_CALLERS };

const ITEM: Item = { id: 1, value: 'one' };
let received = 0;
const flush = async (batch: readonly unknown[]): Promise<void> => {
  received += batch.length;
};

export function comparisons(lives = LIVES): Figures[] {
  return [
    livesOf('one after another', lives, SINKS, (make) => oneByOne(lives, make, oneItem)),
    livesOf(`${AT_ONCE} at a time`, lives, SINKS, (make) => overlapping(lives, make, oneItem)),
    livesOf('stages of a pipeline, one after another', lives, STAGES, (make) =>
      oneByOne(lives, make, throughStage),
    ),
    metrics(lives),
    waiters(),
  ];
}

// ── the life of a stream ──

const SINKS: Readonly<Record<string, () => Writable>> = {
  'plain Writable': () =>
    new Writable({
      objectMode: true,
      write(_item, _encoding, callback) {
        received += 1;
        callback();
      },
    }),
  'hand-written batching Writable': () => new HandWrittenBatching(flush),
  BackpressureWritable: () => new BackpressureWritable<Item>(flush),
  'BackpressureWritable with options': () =>
    new BackpressureWritable<Item>(flush, { batchSize: 50, maxBufferSize: 1_000, flushTimeoutMs: 5_000 }),
  "BackpressureWritable 'drop_oldest'": () =>
    new BackpressureWritable<Item>(flush, { strategy: 'drop_oldest' }),
};

const STAGES: Readonly<Record<string, () => Duplex>> = {
  PassThrough: () => new PassThrough({ objectMode: true }),
  BackpressureTransform: () => new BackpressureTransform<Item>(),
  'BackpressureTransform with map': () => new BackpressureTransform<Item>({ map: (item) => item }),
};

async function oneItem(stream: Writable): Promise<void> {
  stream.write(ITEM);
  stream.end();
  await finished(stream);
}

async function throughStage(stream: Duplex): Promise<void> {
  stream.on('data', () => {
    received += 1;
  });
  await oneItem(stream);
}

async function oneByOne<S>(lives: number, make: () => S, live: (stream: S) => Promise<void>): Promise<void> {
  for (let life = 0; life < lives; life += 1) await live(make());
}

async function overlapping<S>(
  lives: number,
  make: () => S,
  live: (stream: S) => Promise<void>,
): Promise<void> {
  for (let life = 0; life < lives; life += AT_ONCE) {
    const count = Math.min(AT_ONCE, lives - life);
    await Promise.all(Array.from({ length: count }, () => live(make())));
  }
}

/** The first of `kinds` is the baseline. */
function livesOf<S>(
  how: string,
  lives: number,
  kinds: Readonly<Record<string, () => S>>,
  work: (make: () => S) => Promise<void>,
): Figures {
  return {
    title: `The life of a stream, made, one item, end, 'close': ${how}`,
    measure: (progress, rounds = ROUNDS) =>
      measureCosts({
        works: Object.entries(kinds).map(([name, make]): Work => ({ name, run: () => work(make) })),
        amount: lives,
        unit: 'life',
        rounds,
        progress,
        confirm: () => {
          const arrived = received;
          received = 0;
          return arrived === lives ? undefined : `${arrived} of ${lives} items arrived`;
        },
      }),
  };
}

// ── a snapshot ──

function metrics(calls: number): Figures {
  const sink = new BackpressureWritable<Item>(flush);
  const controller = new BackpressureController<Item>(flush, { sizeOf: () => 1 });
  const transform = new BackpressureTransform<Item>();
  const snapshot = sink.getMetrics();
  const repeat = (once: () => unknown) => () => {
    for (let call = 0; call < calls; call += 1) once();
    return Promise.resolve();
  };
  return {
    title: 'A snapshot: getMetrics()',
    measure: (progress, rounds = ROUNDS) =>
      measureCosts({
        works: [
          { name: 'JSON.stringify of a snapshot', run: repeat(() => JSON.stringify(snapshot)) },
          { name: 'BackpressureWritable', run: repeat(() => sink.getMetrics()) },
          { name: 'BackpressureController, bytes measured', run: repeat(() => controller.getMetrics()) },
          { name: 'BackpressureTransform', run: repeat(() => transform.getMetrics()) },
        ],
        amount: calls,
        unit: 'call',
        rounds,
        progress,
        confirm: () => (sink.getMetrics().eventsOffered === 0 ? undefined : 'the counters moved'),
      }),
  };
}

// ── many callers at the same time ──

type Wait = (callers: number) => Promise<void>;

/** Each starts so many calls without waiting for any, and then waits for all of them. */
const WAITS: Readonly<Record<string, Wait>> = {
  'promises in an array, without us': async (callers) => {
    const resolves: (() => void)[] = [];
    const all = allOf(callers, async () => {
      await Promise.resolve(ITEM);
      await new Promise<void>((resolve) => resolves.push(resolve));
    });
    await Promise.resolve();
    received += callers;
    for (const resolve of resolves) resolve();
    await all;
  },
  'push(); await flush()': (callers) =>
    withController((controller) =>
      allOf(callers, async () => {
        await controller.push(ITEM);
        await controller.flush();
      }),
    ),
  'write(); await flush()': async (callers) => {
    const sink = new BackpressureWritable<Item>(flush, ROOMY);
    await allOf(callers, () => {
      sink.write(ITEM);
      return sink.flush();
    });
    sink.end();
    await finished(sink);
  },
  'await whenBelow(n), each another n': (callers) =>
    withController(async (controller) => {
      for (let item = 0; item < callers; item += 1) void controller.push(ITEM);
      const all = allOf(callers, (caller) => controller.whenBelow(caller + 1));
      await controller.flush();
      await all;
    }),
  'await drain({ timeoutMs })': (callers) =>
    withController((controller) => {
      for (let item = 0; item < callers; item += 1) void controller.push(ITEM);
      return allOf(callers, () => controller.drain({ timeoutMs: 60_000 }));
    }),
  'write(); await drain() of a stream': async (callers) => {
    const sink = new BackpressureWritable<Item>(flush, ROOMY);
    await allOf(callers, () => {
      sink.write(ITEM);
      return sink.drain();
    });
    sink.end();
    await finished(sink);
  },
};

async function withController(
  use: (controller: BackpressureController<Item>) => Promise<void>,
): Promise<void> {
  const controller = new BackpressureController<Item>(flush, ROOMY);
  controller.start();
  await use(controller);
  controller.stop();
}

async function allOf(callers: number, call: (caller: number) => Promise<void>): Promise<void> {
  const calls: Promise<void>[] = [];
  for (let caller = 0; caller < callers; caller += 1) calls.push(call(caller));
  await Promise.all(calls);
}

/** As many calls of each kind, in many small crowds or in one large one. */
function waiters(): Figures {
  return {
    title: `Callers that wait at the same time: µs of processor time for each, of ${FEW_CALLERS} and of ${MANY_CALLERS}`,
    async measure(progress, rounds = ROUNDS) {
      const few = async (wait: Wait): Promise<void> => {
        for (let crowd = 0; crowd < MANY_CALLERS / FEW_CALLERS; crowd += 1) await wait(FEW_CALLERS);
      };
      const measured: { name: string; few: number[]; many: number[] }[] = [];
      let wrong: string | undefined;
      for (const [name, wait] of Object.entries(WAITS)) {
        progress(name);
        const times = { name, few: [] as number[], many: [] as number[] };
        for (let round = -1; round < rounds; round += 1) {
          received = 0;
          const fewNs = await cpuNanoseconds(() => few(wait));
          const manyNs = await cpuNanoseconds(() => wait(MANY_CALLERS));
          if (received !== 2 * MANY_CALLERS) wrong ??= `${name}: ${received} items arrived`;
          if (round < 0) continue;
          times.few.push(fewNs / MANY_CALLERS);
          times.many.push(manyNs / MANY_CALLERS);
        }
        measured.push(times);
      }
      return {
        header: ['', `of ${FEW_CALLERS}`, `of ${MANY_CALLERS}`, 'ratio', '95 % interval'],
        cells: measured.map(({ name, few: small, many }) => {
          const ratios = many.map((value, round) => value / small[round]!);
          const [low, high] = medianInterval(ratios);
          const micros = (values: readonly number[]) => (spreadOf(values).median / 1000).toFixed(2);
          return [
            name,
            micros(small),
            micros(many),
            spreadOf(ratios).median.toFixed(2),
            `${low.toFixed(2)} – ${high.toFixed(2)}`,
          ];
        }),
        caption: `${rounds} rounds.`,
        values: measured,
        ...(wrong === undefined ? {} : { wrong }),
      };
    },
  };
}
