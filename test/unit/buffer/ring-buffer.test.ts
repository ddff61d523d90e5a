import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RingBuffer } from '../../../src/buffer/ring-buffer.js';

interface Entry {
  item: number | undefined;
  time: number;
  bytes: number;
  weight: number;
}

/** What a ring must do, done with an array that shifts. */
class RingModel {
  entries: Entry[] = [];
}

type Lanes = { times: boolean; bytes: boolean; weights: boolean };
interface Real {
  ring: RingBuffer<number | undefined>;
  lanes: Lanes;
}

function compare({ entries }: RingModel, { ring, lanes }: Real): void {
  expect(ring.size).toBe(entries.length);
  expect(ring.toArray()).toEqual(entries.map(({ item }) => item));
  if (lanes.times && entries.length > 0) expect(ring.oldestTime()).toBe(entries[0]!.time);
  expect(entries.map((_, index) => ring.bytesAt(index))).toEqual(
    entries.map(({ bytes }) => (lanes.bytes ? bytes : 0)),
  );
}

class Push implements fc.Command<RingModel, Real> {
  readonly #entries: Entry[];
  constructor(entries: Entry[]) {
    this.#entries = entries;
  }
  check = () => true;
  run(model: RingModel, real: Real): void {
    for (const entry of this.#entries) {
      model.entries.push(entry);
      real.ring.push(entry.item, entry.time, entry.bytes, entry.weight);
    }
    compare(model, real);
  }
  toString = () => `push(${this.#entries.length})`;
}

class Shift implements fc.Command<RingModel, Real> {
  check = ({ entries }: Readonly<RingModel>) => entries.length > 0;
  run(model: RingModel, real: Real): void {
    expect(real.ring.shift()).toBe(model.entries.shift()!.item);
    compare(model, real);
  }
  toString = () => 'shift';
}

class Take implements fc.Command<RingModel, Real> {
  readonly #share: number;
  constructor(share: number) {
    this.#share = share;
  }
  check = () => true;
  run(model: RingModel, real: Real): void {
    const count = Math.floor(this.#share * model.entries.length);
    const sizes = real.ring.copyBytes(count);
    const weights = real.ring.copyWeights(count);
    const taken = model.entries.splice(0, count);
    expect(real.ring.take(count)).toEqual(taken.map(({ item }) => item));
    expect(sizes && [...sizes]).toEqual(real.lanes.bytes ? taken.map(({ bytes }) => bytes) : undefined);
    expect(weights && [...weights]).toEqual(
      real.lanes.weights ? taken.map(({ weight }) => weight) : undefined,
    );
    compare(model, real);
  }
  toString = () => `take(${this.#share})`;
}

describe('the ring buffer', () => {
  it('is an array that shifts, for any sequence of operations', () => {
    const entry = fc.record({
      item: fc.option(fc.nat(), { nil: undefined }),
      time: fc.nat(),
      bytes: fc.nat(1_000),
      weight: fc.integer({ min: 1, max: 50 }),
    });
    const commands = [
      fc.array(entry, { minLength: 1, maxLength: 40, size: 'max' }).map((entries) => new Push(entries)),
      fc.constant(new Shift()),
      fc.double({ min: 0, max: 1, noNaN: true }).map((share) => new Take(share)),
    ];
    const lanes = fc.record({ times: fc.boolean(), bytes: fc.boolean(), weights: fc.boolean() });
    fc.assert(
      fc.property(lanes, fc.commands(commands, { maxCommands: 40, size: 'max' }), (kept, sequence) => {
        fc.modelRun(
          () => ({ model: new RingModel(), real: { ring: new RingBuffer(kept), lanes: kept } }),
          sequence,
        );
      }),
      { numRuns: 300 },
    );
  });

  it('lets go of what was taken out', async () => {
    const ring = new RingBuffer<object>();
    const counted = { collected: 0 };
    const registry = new FinalizationRegistry(() => counted.collected++);
    const push = (count: number) => {
      for (let n = 0; n < count; n++) {
        const item = { n };
        registry.register(item, n);
        ring.push(item);
      }
    };
    // 16 slots: the second lot wraps around, and is taken out in one go.
    push(12);
    for (let n = 0; n < 12; n++) ring.shift();
    push(12);
    ring.take(12);
    const { setFlagsFromString } = await import('node:v8');
    setFlagsFromString('--expose-gc');
    const { runInNewContext } = await import('node:vm');
    const collect = runInNewContext('gc') as () => void;
    for (let n = 0; n < 50 && counted.collected < 24; n++) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
    // A register may still hold the very last one.
    expect(counted.collected).toBeGreaterThanOrEqual(23);
    expect(ring.size).toBe(0);
  });
});

it('counts how many of the oldest items came until a time, also where they wrap around', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(5), { minLength: 1, maxLength: 40 }),
      fc.nat(20),
      fc.integer({ min: -1, max: 200 }),
      (gaps, shifts, until) => {
        const ring = new RingBuffer<number>({ times: true });
        for (let n = 0; n < shifts; n++) {
          ring.push(n);
          ring.shift();
        }
        let time = 0;
        const times = gaps.map((gap) => (time += gap));
        for (const at of times) ring.push(at, at);
        for (let count = 1; count <= times.length; count++) {
          const expected = times.slice(0, count).filter((at) => at <= until).length;
          expect(ring.countUntil(until, count)).toBe(expected);
        }
      },
    ),
  );
});
