/** A stream of records, whatever its parser finds in a chunk and however its reader takes what comes: all of it arrives, in order. */

import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RecordStream } from '../../src/cli/records/record-stream.js';
import type { SourceChunk } from '../../src/cli/input/source.js';
import { fastCheckRuns } from '../support/test-runs.js';
import { range } from '../support/range.js';

/** How many items each step of the parser brings, step after step; the answer of the last is that there is no more. */
type Script = readonly number[];

class ScriptedStream extends RecordStream {
  protected override readonly parser;

  constructor(scripts: readonly Script[]) {
    super((error) => this.destroy(error));
    const left = [...scripts];
    let steps: number[] = [];
    let items = 0;
    this.parser = {
      begin: () => void (steps = [...left.shift()!]),
      step: () => {
        for (let count = steps.shift() ?? 0; count > 0; count -= 1) this.push({ item: items++ });
        return steps.length > 0;
      },
    };
  }
}

const READERS = ['at once', 'next tick', 'microtask', 'next turn', 'iterator', 'slow iterator'] as const;
type Reader = (typeof READERS)[number];

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type ReaderFunction = (found: AsyncIterable<{ item: number }>) => Promise<void>;

function readerOf(
  kind: Reader,
  highWaterMark: number,
  take: (item: number) => void,
): Writable | ReaderFunction {
  if (kind === 'iterator' || kind === 'slow iterator') {
    return async (found) => {
      for await (const { item } of found) {
        take(item);
        if (kind === 'slow iterator') await turn();
      }
    };
  }
  return new Writable({
    objectMode: true,
    highWaterMark,
    write({ item }: { item: number }, _encoding, callback) {
      take(item);
      if (kind === 'at once') callback();
      else if (kind === 'next tick') process.nextTick(callback);
      else if (kind === 'microtask') void Promise.resolve().then(() => callback());
      else setImmediate(callback);
    },
  });
}

it('brings all that its parser finds, in order, and ends', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat({ max: 3 }), { maxLength: 6 }), { maxLength: 6 }),
      fc.constantFrom(...READERS),
      fc.integer({ min: 1, max: 3 }),
      async (scripts, kind, highWaterMark) => {
        const taken: number[] = [];
        const chunks = scripts.map(() => ({}) as SourceChunk);
        const records = new ScriptedStream(scripts);
        const ending = { isDone: false };
        const reader = readerOf(kind, highWaterMark, (item) => taken.push(item)) as Writable;
        const done = pipeline(Readable.from(chunks), records, reader).then(() => (ending.isDone = true));
        const all = scripts.flat().reduce((sum, count) => sum + count, 0);
        for (let turns = 0; turns < 100 + 10 * all && !ending.isDone; turns += 1) await turn();
        const { readableLength, writableLength } = records;
        expect({ ...ending, readableLength, writableLength }).toMatchObject({ isDone: true });
        await done;
        expect(taken).toEqual(range(all));
      },
    ),
    fastCheckRuns(1_000),
  );
});
