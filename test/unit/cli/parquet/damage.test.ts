/** Damaged Parquet files: an error that names the file, or rows; nothing else, and no hang. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliError } from '../../../../src/cli/common/errors.js';
import { ParquetFile, wantedColumns } from '../../../../src/cli/parquet/parquet-file.js';
import { SeededRandom } from '../../../support/seeded-random.js';

const FILES = fileURLToPath(new URL('../../../support/parquet/', import.meta.url));
const NAMES = ['types.parquet', 'types-v2.parquet', 'rows.parquet', 'faults.parquet'];
const RUNS = Number(process.env['SPILLWAY_DAMAGES'] ?? 400);

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-parquet-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Returns the number of rows, or the message of the error. */
async function read(name: string): Promise<number | string> {
  const source = { name: 'f', path: name, sizeBytes: 1, countsRecords: true };
  let lines = 0;
  try {
    const file = await ParquetFile.open(source);
    try {
      const wanted = wantedColumns(source, file.columns, [...file.columns.keys()], () => undefined);
      for await (const { bytes } of file.lines(wanted, () => undefined))
        for (const byte of bytes) if (byte === 0x0a) lines += 1;
    } finally {
      await file.close();
    }
    return lines;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return error.message;
  }
}

it('a damaged file is an error, or rows', async () => {
  const random = new SeededRandom(14).next;
  const below = (limit: number) => Math.floor(random() * limit);
  const name = path.join(directory, 'damaged.parquet');
  let errors = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const bytes = await readFile(path.join(FILES, NAMES[run % NAMES.length]!));
    const end = bytes.length - 8;
    for (let left = 1 + below(4); left > 0; left -= 1) bytes[4 + below(end - 4)] = below(256);
    await writeFile(name, bytes);
    const found = await read(name);
    if (typeof found === 'string') {
      errors += 1;
      expect(found).toMatch(/^f: /);
    }
  }
  expect(errors).toBeGreaterThan(RUNS / 4);
});

it('a file that is cut anywhere is an error', async () => {
  const bytes = await readFile(path.join(FILES, 'rows.parquet'));
  const name = path.join(directory, 'cut.parquet');
  for (const length of [0, 3, 4, 7, 11, 12, 100, 4000, bytes.length - 1]) {
    await writeFile(name, bytes.subarray(0, length));
    expect(await read(name)).toMatch(/^f: is /);
    // With an end that says where the description begins.
    await writeFile(name, Buffer.concat([bytes.subarray(0, length), bytes.subarray(-8)]));
    expect(await read(name)).toMatch(/^f: /);
  }
});

/** Returns all places of the bytes behind `start`. */
function placesOf(bytes: Buffer, wanted: Buffer, start: number): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(wanted, start); at !== -1; at = bytes.indexOf(wanted, at + 1)) places.push(at);
  return places;
}

it.each([
  // As Thrift writes them: times two, seven bits a byte, the lowest first.
  ['of the file', [0x90, 0x4e], 1],
  ['of a column and of its row group', [0x90, 0x0e], 3],
])('a number of rows that differs from the others is an error (%s)', async (_title, number, least) => {
  const bytes = await readFile(path.join(FILES, 'rows.parquet'));
  const name = path.join(directory, 'rows.parquet');
  const description = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
  const places = placesOf(bytes, Buffer.from(number), description);
  expect(places.length).toBeGreaterThanOrEqual(least);
  for (const place of places) {
    for (const change of [-1, 1]) {
      const changed = Buffer.from(bytes);
      changed[place + 1]! += change;
      await writeFile(name, changed);
      expect(await read(name)).toMatch(/^f: the Parquet file is damaged.* (?:rows|values)/);
    }
  }
});
