/** The encodings of Parquet, against encoders that follow the format's documentation. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeltaDecoder, deltaBytes, deltaLengths } from '../../../../src/cli/parquet/delta-decoder.js';
import { HybridDecoder } from '../../../../src/cli/parquet/hybrid-decoder.js';

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80n; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return [...bytes, Number(value)];
}

const zigzag = (value: bigint): number[] => varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));

/** The lowest bits first. */
function packed(values: readonly bigint[], width: number): number[] {
  let all = 0n;
  values.forEach((value, index) => (all |= value << BigInt(index * width)));
  return Array.from({ length: Math.ceil((values.length * width) / 8) }, (_, at) =>
    Number((all >> BigInt(8 * at)) & 0xffn),
  );
}

/** Blocks of 128 values in 4 parts, as most programs write them. */
function deltas(values: readonly bigint[], bits: 32 | 64): Buffer {
  const bytes = [
    ...varint(128n),
    ...varint(4n),
    ...varint(BigInt(values.length)),
    ...zigzag(values[0] ?? 0n),
  ];
  const steps = values.slice(1).map((value, at) => BigInt.asIntN(bits, value - values[at]!));
  for (let start = 0; start < steps.length; start += 128) {
    const block = steps.slice(start, start + 128);
    const least = block.reduce((a, b) => (a < b ? a : b));
    const parts = [0, 32, 64, 96].map((at) =>
      block.slice(at, at + 32).map((step) => BigInt.asUintN(bits, step - least)),
    );
    const widths = parts.map((part) =>
      part.reduce((width, value) => Math.max(width, value.toString(2).length), 0),
    );
    parts.forEach((part, at) => {
      if (part.every((value) => value === 0n)) widths[at] = 0;
    });
    bytes.push(...zigzag(least), ...widths);
    parts.forEach((part, at) => {
      if (part.length > 0)
        bytes.push(...packed([...part, ...Array<bigint>(32 - part.length).fill(0n)], widths[at]!));
    });
  }
  return Buffer.from(bytes);
}

function read(bytes: Buffer, bits: 32 | 64): bigint[] {
  const decoder = new DeltaDecoder(bytes, 0, bits, Infinity);
  return Array.from({ length: decoder.count }, () => BigInt(decoder.next()));
}

describe('deltas', () => {
  it('are read as they were written, of 64 bits', () => {
    const values = fc.array(fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-1000n, 1000n)), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(values, (given) => {
        expect(read(deltas(given, 64), 64)).toEqual(given);
      }),
    );
  });

  it('are read as they were written, of 32 bits, which wrap', () => {
    const values = fc.array(fc.oneof(fc.bigInt(-(2n ** 31n), 2n ** 31n - 1n), fc.bigInt(0n, 9n)), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(values, (given) => {
        expect(read(deltas(given, 32), 32)).toEqual(given);
      }),
    );
  });

  it('begin with the first value of an unsigned type as it is', () => {
    const bytes = deltas([3_000_000_000n], 64);
    expect(read(bytes, 32)).toEqual([BigInt.asIntN(32, 3_000_000_000n)]);
  });

  it.each<[string, bigint[], RegExp]>([
    ['of no values', [0n, 4n, 3n, 0n], /length that is not allowed/],
    ['without parts', [128n, 0n, 3n, 0n], /length that is not allowed/],
    ['of parts that are no multiple of 8', [4n, 4n, 3n, 0n], /length that is not allowed/],
    // All alike, so that no byte is read for one.
    [
      'of more values than the page has',
      [2n ** 49n, 1n, 2n ** 48n, 0n, 0n, 0n],
      /more values than their page/,
    ],
  ])('are refused in blocks %s', (_, header, message) => {
    const bytes = Buffer.from(header.flatMap(varint));
    expect(() => deltaLengths(bytes, 0, 1000)).toThrow(message);
    expect(() => new DeltaDecoder(bytes, 0, 64, 1000)).toThrow(message);
  });

  it('give lengths, and what texts share with those before', () => {
    const bytes = Buffer.concat([deltas([3n, 0n, 2n], 32), Buffer.from('abcde')]);
    const next = deltaLengths(bytes, 0, 3);
    expect([next(), next(), next()].map(String)).toEqual(['abc', '', 'de']);
    expect(next).toThrow(/end too early/);
    const shared = Buffer.concat([deltas([0n, 2n, 1n], 32), deltas([3n, 1n, 0n], 32), Buffer.from('abcd')]);
    const nextShared = deltaBytes(shared, 0, 3);
    expect([nextShared(), nextShared(), nextShared()].map(String)).toEqual(['abc', 'abd', 'a']);
  });
});

type Run = { readonly value: number; readonly times: number } | readonly number[];

function hybrid(runs: readonly Run[], width: number): Buffer {
  const bytes = runs.flatMap((run) => {
    if ('times' in run) {
      const value = Array.from(
        { length: (width + 7) >> 3 },
        (_, at) => Math.floor(run.value / 2 ** (8 * at)) & 0xff,
      );
      return [...varint(BigInt(run.times) << 1n), ...value];
    }
    const groups = Math.ceil(run.length / 8);
    const filled = [...run, ...Array<number>(8 * groups - run.length).fill(0)];
    return [...varint((BigInt(groups) << 1n) | 1n), ...packed(filled.map(BigInt), width)];
  });
  return Buffer.from(bytes);
}

describe('runs and bit-packed groups', () => {
  it('are read as they were written', () => {
    const given = fc.integer({ min: 1, max: 32 }).chain((width) => {
      const value = fc.integer({ min: 0, max: 2 ** width - 1 });
      const run = fc.oneof(
        fc.record({ value, times: fc.integer({ min: 1, max: 50 }) }),
        fc
          .integer({ min: 1, max: 4 })
          .chain((groups) => fc.array(value, { minLength: 8 * groups, maxLength: 8 * groups })),
      );
      return fc.tuple(fc.constant(width), fc.array(run, { minLength: 1, maxLength: 6 }));
    });
    fc.assert(
      fc.property(given, ([width, runs]) => {
        const bytes = hybrid(runs, width);
        const decoder = new HybridDecoder(bytes, 0, bytes.length, width);
        const values = runs.flatMap((run) =>
          'times' in run ? Array<number>(run.times).fill(run.value) : [...run],
        );
        expect(values.map(() => decoder.next())).toEqual(values);
        expect(() => decoder.next()).toThrow(/end too early/);
      }),
    );
  });

  it('of no width are zeros', () => {
    const decoder = new HybridDecoder(Buffer.alloc(0), 0, 0, 0);
    expect([decoder.next(), decoder.next()]).toEqual([0, 0]);
  });
});
