import { expect, test } from 'vitest';
import { BackpressureController } from '../../../src/controller/backpressure-controller.js';
import { copyInto } from '../../../src/postgres/copy-into.js';
import { measureHeld } from '../../support/live-memory.js';
import { SeededRandom } from '../../support/seeded-random.js';

const pool = { connect: () => Promise.reject(new Error('no server')), options: { max: 10 } };
const COUNT = 3_000;
const COLUMNS = Array.from({ length: 200 }, (_, at) => `column_${at}`);

/** Text of its own, in one piece. */
const own = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');
const wide = (text: string): string => Buffer.from(text, 'utf16le').toString('utf16le');
/** Sets them one by one: V8 makes a hash table of it. */
const fill = (value: (column: number) => unknown, columns = 50): object => {
  const row: Record<string, unknown> = {};
  for (let at = 0; at < columns; at += 1) row[COLUMNS[at]!] = value(at);
  return row;
};
/** V8 keeps it as fields in a row. */
const parsed = JSON.stringify(Object.fromEntries(COLUMNS.slice(0, 50).map((name, at) => [name, at])));
const literal = (index: number): object =>
  JSON.parse(parsed.replaceAll(/\d+([,}])/g, (_, end) => `${index}${end}`)) as object;
const random = new SeededRandom(11);
const draws = Array.from({ length: COUNT }, random.next);

const KINDS: Record<string, (index: number) => object> = {
  'five small integers': (i) => ({ a: i, b: i + 1, c: i + 2, d: i + 3, e: i + 4 }),
  'five doubles': (i) => ({ a: i + 0.5, b: i + 1.5, c: i + 2.5, d: i + 3.5, e: i + 4.5 }),
  'an array of values': (i) => [i, i + 0.5, own(`name ${i}`), null, true],
  dates: (i) => ({ id: i, from: new Date(i * 1e6), to: new Date(i * 1e7) }),
  'a date, two integers, two short strings': (i) => ({
    date: new Date(i * 1e6),
    delay: i % 300,
    distance: i % 2500,
    origin: own(`S${i % 90}F`),
    destination: own(`B${i % 90}S`),
  }),
  '50 integers': (i) => fill((at) => i + at),
  '50 short strings': (i) => fill((at) => own(`value ${i} ${at}`)),
  '50 columns, mixed': (i) =>
    fill((at) => [i + at, i + 0.25, own(`text ${i} ${at}`), at % 2 === 0, new Date(i)][at % 5]),
  '50 integers in a literal': (i) => literal(i),
  '20 strings, set one by one': (i) => fill((at) => own(`value ${i} ${at}`), 20),
  '200 values of JSON': (i) => JSON.parse(JSON.stringify(fill((at) => at + i, 200))) as object,
  'long strings': (i) => ({ id: i, text: own('x'.repeat(3_000 + (i % 100))) }),
  'wide text': (i) => ({ id: i, text: wide(`${'ж'.repeat(600)}${i}`) }),
  'short wide text': (i) => ({ id: i, text: wide(`имя ${i}`), other: wide(`город ${i}`) }),
  'text with one wide character in every third row': (i) => ({
    id: i,
    text: wide(`${'x'.repeat(800)}${i % 3 === 0 ? '’' : ''}`),
  }),
  'nested JSON': (i) => ({
    id: i,
    data: { user: { name: own(`user ${i}`), tags: [own(`a${i}`), own(`b${i}`)] }, at: i + 0.25, ok: true },
  }),
  'a long JSON array': (i) => ({
    id: i,
    data: Array.from({ length: 300 }, (_, at) => own(`entry ${i} ${at}`)),
  }),
  'an array of doubles': (i) => ({ id: i, data: Array.from({ length: 100 }, (_, at) => i + at + 0.5) }),
  'an array of doubles of JSON': (i) =>
    JSON.parse(
      `{"id":${i},"data":[${Array.from({ length: 50 }, (_, at) => i + at / 4).join(',')}]}`,
    ) as object,
  'small buffers': (i) => ({ id: i, data: Buffer.alloc(200, i) }),
  'large buffers': (i) => ({ id: i, data: Buffer.alloc(5_000, i) }),
  bigints: (i) => ({ a: BigInt(i) * 1_000_000_007n, b: BigInt(i) ** 20n }),
  'a map and a set': (i) => ({ map: new Map([[i, own(`v ${i}`)]]), set: new Set([i, i + 1]) }),
  'strings of any length': (i) => ({
    id: i,
    text: own('x'.repeat(Math.floor(20 / (draws[i % COUNT]! + 0.001)))),
  }),
  'one row in two wide': (i) => ({ id: i, text: own('x'.repeat(i % 2 === 0 ? 10 : 10_000)) }),
  'one row in 32 wide': (i) => ({ id: i, text: own('x'.repeat(i % 32 === 5 ? 100_000 : 10)) }),
  'rows that become wide': (i) => ({ id: i, text: own('x'.repeat(i < COUNT / 2 ? 10 : 10_000)) }),
  'rows that become narrow': (i) => ({ id: i, text: own('x'.repeat(i < COUNT / 2 ? 10_000 : 10)) }),
};

/** Below this, what the engine allocates for itself meanwhile (compiled code, feedback) would count as rows. */
const ENOUGH_BYTES = 3_000_000;

function ratioOf(make: (index: number) => object, count: number): { ratio: number; bytes: number } {
  const controller = new BackpressureController(copyInto(pool as never, { table: 't' }), {
    maxBufferSize: count,
    maxBufferBytes: 2 ** 40,
  });
  const bytes = measureHeld(count, make, (row) => void controller.push(row as never));
  const { bufferSize, bufferBytes } = controller.getMetrics();
  expect(bufferSize).toBe(count);
  return { ratio: bufferBytes! / bytes, bytes };
}

test.each(Object.entries(KINDS))('bufferBytes of copyInto is about what rows hold: %s', (_, make) => {
  // The first time, what is left of other tests is collected, and code is compiled.
  const { bytes } = ratioOf(make, COUNT);
  const count = bytes < ENOUGH_BYTES ? 10 * COUNT : COUNT;
  const ratios = [ratioOf(make, count).ratio, ratioOf(make, count).ratio];
  expect(Math.max(...ratios)).toBeGreaterThan(0.8);
  expect(Math.min(...ratios)).toBeLessThan(2);
});
