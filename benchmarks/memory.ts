/** How much memory is held, at most and over time: by the core and by `copyInto` with default options, and by `spillway load` for files of growing length. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BackpressureWritable, type FlushFunction } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Flight } from './flights/flight-source.js';
import { countFault, type Item } from './support/counting.js';
import type { Figures, Measured } from './support/figures.js';
import { csvChunks, withFlights, type FlightsBench } from './support/flights-bench.js';
import { collectAllGarbage } from './support/garbage.js';
import { COMMAND_LINE } from './support/server.js';

const MILLION = 1_000_000;
const MIB = 2 ** 20;
const SAMPLE_EVERY_MS = 100;
/** A full collection takes some milliseconds. */
const FLUSHES_PER_SAMPLE = 500;
const COPIES_PER_SAMPLE = 5;
/** So many times the rows go through `copyInto`: what it holds would show. */
const COPY_FACTOR = 3;

/** `rowCount` is that of the shortest file; the others have 3 and 10 times as many. */
export async function* comparisons(rowCount = MILLION): AsyncGenerator<Figures, void> {
  yield {
    title: 'The core, default options, a slow destination: live heap and external memory after a collection',
    measure: () => measureCore(rowCount),
  };
  // The longer files repeat the rows of the first.
  yield* withFlights(rowCount, (bench) => [
    {
      title: 'copyInto of objects, default options: live heap and external memory after a collection',
      measure: () => measureCopy(bench),
    },
    {
      title: 'spillway load of a CSV file: resident memory of the process',
      measure: (progress) => measureLoads(bench, [1, 3, 10], progress),
    },
  ]);
}

interface Sample {
  readonly atMs: number;
  readonly mib: number;
}

const megabytes = (mib: number): string => `${mib.toFixed(1)} MiB`;

/** Looks at every so-many-th flush, the first included; what the process held before counts for nothing. */
function sampler(flushesPerSample: number): { samples: Sample[]; look: () => Promise<void> } {
  const live = (): number => {
    collectAllGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return (heapUsed + external) / MIB;
  };
  const before = live();
  const start = performance.now();
  const samples: Sample[] = [];
  let flushes = 0;
  const look = async (): Promise<void> => {
    flushes += 1;
    if ((flushes - 1) % flushesPerSample !== 0) return;
    // Not in the middle of a turn, whose microtasks still hold what they have done with.
    await nextTurn();
    const atMs = performance.now() - start;
    samples.push({ atMs, mib: live() - before });
  };
  return { samples, look };
}

async function measureCore(count: number): Promise<Measured> {
  const { samples, look } = sampler(FLUSHES_PER_SAMPLE);
  let received = 0;
  const sink = new BackpressureWritable<Item>(async (batch) => {
    received += batch.length;
    await look();
    // The producer is faster, so that the buffer is full most of the time.
    await nextTurn();
  });
  for (let id = 0; id < count; id += 1) {
    if (!sink.write({ id, value: `value ${id}` }))
      await new Promise<void>((done) => sink.once('drain', done));
  }
  sink.end();
  await finished(sink);
  const wrong = countFault(received, count);
  return {
    header: ['', 'at most', 'first half', 'second half'],
    cells: [['BackpressureWritable', ...shares(samples)]],
    caption: `${count.toLocaleString('en-GB')} small objects, made as they are written; ${samples.length} samples; above what the process held before.`,
    values: { samples },
    ...(wrong === undefined ? {} : { wrong }),
  };
}

async function measureCopy({ pool, rows, table }: FlightsBench): Promise<Measured> {
  await pool.query(`TRUNCATE ${table}`);
  const count = rows.length * COPY_FACTOR;
  const { samples, look } = sampler(COPIES_PER_SAMPLE);
  const copy = copyInto<Flight>(pool, { table });
  const watched: FlushFunction<Flight> = async (batch, context) => {
    await look();
    return copy(batch, context);
  };
  // Rows of their own, made as they are asked for: what is held counts.
  const made = function* (): Generator<Flight, void> {
    for (let round = 0; round < COPY_FACTOR; round += 1) {
      for (const row of rows) yield { ...row, date: new Date(row.date) };
    }
  };
  const sink = new BackpressureWritable<Flight>(Object.assign(watched, { defaults: copy.defaults }));
  await pipeline(Readable.from(made()), sink);
  const found = await pool.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${table}`);
  const wrong = countFault(found.rows[0]!.rows, count);
  return {
    header: ['', 'at most', 'first half', 'second half'],
    cells: [['BackpressureWritable + copyInto', ...shares(samples)]],
    caption: `${count.toLocaleString('en-GB')} flights, made as they are written; ${samples.length} samples; above what the process held before.`,
    values: { samples },
    ...(wrong === undefined ? {} : { wrong }),
  };
}

/** The largest of all, of the first half and of the second: what grows with the input shows. */
function shares(samples: readonly Sample[]): string[] {
  const middle = Math.ceil(samples.length / 2);
  return [samples, samples.slice(0, middle), samples.slice(middle)].map((part) =>
    part.length === 0 ? 'no sample' : megabytes(Math.max(...part.map(({ mib }) => mib))),
  );
}

async function measureLoads(
  bench: FlightsBench,
  factors: readonly number[],
  progress: (line: string) => void,
): Promise<Measured> {
  const { folder, pool, rows, table } = bench;
  const values: { rows: number; peakMib: number; samples: Sample[] }[] = [];
  let wrong: string | undefined;
  for (const factor of factors) {
    const count = rows.length * factor;
    progress(`memory: ${count} rows`);
    const file = path.join(folder, 'long.csv');
    await pipeline(Readable.from(repeated(rows, factor)), createWriteStream(file));
    await pool.query(`TRUNCATE ${table}`);
    values.push({ rows: count, ...(await loadWatched(bench, file)) });
    const found = await pool.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${table}`);
    wrong ??= countFault(found.rows[0]!.rows, count);
  }
  return {
    header: ['rows', 'at most', 'samples: at most', 'first half', 'second half'],
    cells: values.map(({ rows: count, peakMib, samples }) => [
      count.toLocaleString('en-GB'),
      peakMib === 0 ? 'unknown (needs /proc)' : megabytes(peakMib),
      ...shares(samples),
    ]),
    caption: `A sample every ${SAMPLE_EVERY_MS} ms; "at most" is the system's own high-water mark.`,
    values,
    ...(wrong === undefined ? {} : { wrong }),
  };
}

function* repeated(rows: readonly Flight[], factor: number): Generator<string, void> {
  for (let round = 0; round < factor; round += 1) {
    let isHeader = true;
    for (const chunk of csvChunks(rows)) {
      if (!isHeader || round === 0) yield chunk;
      isHeader = false;
    }
  }
}

async function loadWatched(
  { table, url }: FlightsBench,
  file: string,
): Promise<{ peakMib: number; samples: Sample[] }> {
  const start = performance.now();
  const child = spawn(process.execPath, [COMMAND_LINE, 'load', file, '--table', table, '--quiet'], {
    env: { ...process.env, DATABASE_URL: url },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const samples: Sample[] = [];
  let peakMib = 0;
  const look = async (): Promise<void> => {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    const mib = (name: string): number =>
      Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
    peakMib = Math.max(peakMib, mib('VmHWM'));
    if (mib('VmRSS') > 0) samples.push({ atMs: performance.now() - start, mib: mib('VmRSS') });
  };
  const timer = setInterval(() => void look(), SAMPLE_EVERY_MS);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(timer);
  if (code !== 0) throw new Error(`spillway load ended with ${String(code)}`);
  return { peakMib, samples };
}
