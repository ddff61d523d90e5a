/** The longest turn of the event loop, with default options, while batches are encoded, searched for bad rows, given up and taken back. */

import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Figures } from './support/figures.js';
import { withServer, type BenchServer } from './support/server.js';
import { spreadOf } from './support/statistics.js';
import { longestTurn, type LongestTurn } from './support/turn-meter.js';

const BATCH_ROWS = 40_000;
const HELD_ITEMS = 200_000;
const ROUNDS = 9;
const WIDTHS = [5, 50];
const BAD_EVERY = 100;
const TYPES = ['int', 'text', 'float8', 'timestamptz', 'bool'];

type Row = Record<string, unknown>;

interface Case {
  readonly name: string;
  /** Does it once. Returns what is wrong, if anything. */
  readonly run: () => Promise<{ turn: LongestTurn; wrong?: string | undefined }>;
}

export function comparisons(batchRows = BATCH_ROWS): AsyncIterable<Figures> {
  return withServer(async function* (server) {
    for (const columns of WIDTHS) yield await figuresOf(server, columns, batchRows);
  });
}

async function figuresOf({ pool }: BenchServer, columns: number, batchRows: number): Promise<Figures> {
  const names = Array.from({ length: columns }, (_, place) => `c${place}`);
  const table = `event_loop_${columns}`;
  const types = names.map((name, place) => `${name} ${TYPES[place % TYPES.length]}`);
  await pool.query(`DROP TABLE IF EXISTS ${table}; CREATE UNLOGGED TABLE ${table} (${types.join(', ')})`);
  const rowsOf = (count: number, badEvery = Infinity) =>
    Array.from({ length: count }, (_, row) => rowOf(names, row, row % badEvery === badEvery - 1));
  const good = rowsOf(batchRows);
  const bad = rowsOf(batchRows, BAD_EVERY);
  const copy = (rows: readonly Row[], format?: 'text') => async () => {
    let failed = 0;
    const flush = copyInto<Row>(pool, { table, ...(format !== undefined && { format }) });
    const sink = new BackpressureWritable<Row>(flush, {
      onFailed: (failures) => void (failed += failures.length),
    });
    const turn = await longestTurn(async () => {
      const done = finished(sink);
      for (const row of rows) if (!sink.write(row)) await once(sink, 'drain');
      sink.end();
      await done;
    });
    const { eventsFlushed } = sink.getMetrics();
    const isRight =
      eventsFlushed + failed === rows.length && failed === (rows === bad ? batchRows / BAD_EVERY : 0);
    return { turn, wrong: isRight ? undefined : `${eventsFlushed} rows arrived, ${failed} failed` };
  };
  const cases: Case[] = [
    { name: `encoding ${batchRows} rows`, run: copy(good) },
    { name: `encoding ${batchRows} rows as text`, run: copy(good, 'text') },
    { name: `isolating ${batchRows / BAD_EVERY} bad rows of ${batchRows}`, run: copy(bad) },
    ...endings(rowsOf(HELD_ITEMS)),
  ];
  return {
    title: `Longest turn of the event loop, ${columns} columns: ms of the main thread's processor time`,
    measure: (progress, rounds = ROUNDS) => measure(cases, rounds, progress),
  };
}

function rowOf(names: readonly string[], row: number, isBad: boolean): Row {
  const values = [row, `text ${row % 1000}`, row / 7, new Date(1.7e12 + row * 1000), row % 2 === 0];
  const made: Row = {};
  for (const [place, name] of names.entries()) made[name] = values[place % values.length];
  if (isBad) made[names[0]!] = 'x';
  return made;
}

/** Sinks that hold many items, three batches of them in flight, and end. */
function endings(items: readonly Row[]): Case[] {
  const held = async (): Promise<BackpressureWritable<Row>> => {
    const sink = new BackpressureWritable<Row>(untilAborted, {
      maxBufferSize: items.length,
      batchSize: BATCH_ROWS,
      concurrency: 3,
    });
    sink.on('error', () => undefined);
    for (const item of items) sink.write(item);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return sink;
  };
  const destroy = async (sink: BackpressureWritable<Row>): Promise<void> => {
    const closed = new Promise((resolve) => sink.once('close', resolve));
    sink.destroy(new Error('enough'));
    await closed;
  };
  const count = items.length.toLocaleString('en-US');
  return [
    {
      name: `destroy() of ${count} items`,
      run: async () => {
        const sink = await held();
        const turn = await longestTurn(() => destroy(sink));
        const { eventsFailed, eventsDropped } = sink.getMetrics();
        // Those above the high watermark wait, and count as dropped.
        const ended = eventsFailed + eventsDropped;
        return { turn, wrong: ended === items.length ? undefined : `${ended} items failed or dropped` };
      },
    },
    {
      name: `takeUnsettled() of ${count} items`,
      run: async () => {
        const sink = await held();
        await destroy(sink);
        let taken = 0;
        const turn = await longestTurn(async () => {
          taken = sink.takeUnsettled().length;
          await new Promise((resolve) => setImmediate(resolve));
        });
        return { turn, wrong: taken === items.length ? undefined : `${taken} items came back` };
      },
    },
  ];
}

function untilAborted(_items: Row[], { signal }: { signal: AbortSignal }): Promise<void> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

async function measure(cases: readonly Case[], rounds: number, progress: (line: string) => void) {
  const measured = cases.map(({ name }) => ({ name, cpuMs: [] as number[], wallMs: [] as number[] }));
  let wrong: string | undefined;
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    for (const [place, { name, run }] of cases.entries()) {
      const { turn, wrong: fault } = await run();
      measured[place]!.cpuMs.push(turn.cpuMs);
      measured[place]!.wallMs.push(turn.wallMs);
      if (fault !== undefined) wrong ??= `${name}: ${fault}`;
    }
  }
  return {
    header: ['', 'median', 'min – max', 'first round', 'wall time (median)'],
    cells: measured.map(({ name, cpuMs, wallMs }) => {
      const { median, min, max } = spreadOf(cpuMs);
      const ms = (value: number) => value.toFixed(1);
      return [name, ms(median), `${ms(min)} – ${ms(max)}`, ms(cpuMs[0]!), ms(spreadOf(wallMs).median)];
    }),
    caption: `${rounds} rounds. In the first one, V8 has compiled nothing yet.`,
    values: measured,
    ...(wrong === undefined ? {} : { wrong }),
  };
}
