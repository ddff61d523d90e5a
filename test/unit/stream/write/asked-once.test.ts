/** `shed` and `sizeOf` act on the very stream that asks them: nothing is lost, and no item is asked about or admitted twice. */

import { describe, expect, it } from 'vitest';
import {
  BackpressureTransform,
  BackpressureWritable,
  type BackpressureError,
} from '../../../../src/index.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { ManualDestination } from '../../../support/destinations.js';
import { range } from '../../../support/range.js';
import { endOf, expectLedger, turn } from '../../../support/stream.js';

const boom = (): never => {
  throw new Error('boom');
};

function create(kind: 'writable' | 'transform', options: object) {
  const destination = new ManualDestination<number>();
  const given = { clock: new ManualClock(), ...options };
  const stream =
    kind === 'writable'
      ? new BackpressureWritable<number>(destination.flush, { abortGraceMs: 0, ...given })
      : new BackpressureTransform<number>(given);
  return { stream, destination };
}

describe.each(['writable', 'transform'] as const)('a %s', (kind) => {
  it.each([
    ['that finds no room', 6],
    ['that fills the buffer', 5],
    ['that finds room', 1],
  ])('returns what sizeOf has written before it threw, %s', async (_name, size) => {
    const { stream } = create(kind, {
      maxBufferBytes: 10,
      highWatermark: 1,
      sizeOf: (item: number): number => {
        if (item > 0) return size;
        for (const inner of range(3, 1))
          stream.write(inner, (error) => void callbacks.push([inner, error ?? null]));
        return boom();
      },
    });
    const callbacks: [number, unknown][] = [];
    const ended = endOf(stream);
    stream.write(0);
    const error = await ended;
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    await turn();
    expect((error as BackpressureError).items.toSorted()).toEqual(range(4));
    const { eventsOffered, eventsAccepted } = expectLedger(stream);
    expect(eventsOffered).toBe(4);
    expect(stream.takeUnsettled().toSorted()).toEqual(range(4));
    // Only what was admitted has a callback without an error.
    expect(callbacks).toEqual(
      range(3, 1).map((item) => [item, item <= eventsAccepted ? null : (expect.any(Error) as unknown)]),
    );
  });

  it.each([
    ['the buffer', 3, 1],
    ['the bytes', 100, 6],
  ])('asks once about an item whose sizeOf fills %s by other writes', async (_name, maxBufferSize, size) => {
    const asked: number[] = [];
    const { stream, destination } = create(kind, {
      maxBufferSize,
      maxBufferBytes: 18,
      maxWaiting: 100,
      highWatermark: 1,
      sizeOf: (item: number) => {
        asked.push(item);
        if (item === 0 && asked.length === 1) for (const inner of range(4, 1)) stream.write(inner);
        return size;
      },
    });
    stream.write(0);
    stream.end(5);
    const ended = endOf(stream);
    await turn();
    const received: number[] = [];
    if (stream instanceof BackpressureTransform) stream.on('data', (item: number) => received.push(item));
    else await destination.answerAll();
    expect(await ended).toBeUndefined();
    expect(asked.toSorted()).toEqual(range(6));
    expect((kind === 'writable' ? destination.items : received).toSorted()).toEqual(range(6));
    expectLedger(stream);
  });
});
