/** Two to four stages that share one error: each item is reported exactly once, by the stage that held it. */

import { PassThrough, type Duplex, type Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureError,
  BackpressureTransform,
  BackpressureWritable,
} from '../../src/index.js';
import { closed, turn } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';

type Ours = BackpressureWritable<string> | BackpressureTransform<string> | BackpressureController<string>;
type StageKind = 'writable' | 'transform' | 'controller' | 'pass-through';

const stage = fc.record({
  kind: fc.constantFrom<StageKind>('writable', 'transform', 'controller', 'pass-through'),
  items: fc.integer({ min: 0, max: 5 }),
  /** Its flushes answer at once, never (until it is aborted), or fail. */
  flush: fc.constantFrom('well' as const, 'waits' as const, 'fails' as const),
  batchSize: fc.integer({ min: 1, max: 3 }),
});
type Stage = typeof stage extends fc.Arbitrary<infer S> ? S : never;
const plan = fc.record({
  stages: fc.array(stage, { minLength: 2, maxLength: 4 }),
  /** Who is destroyed first, by which error; the others are destroyed with what it fails with. */
  first: fc.nat(3),
  error: fc.constantFrom(
    'none' as const,
    'a plain error' as const,
    'an error with items' as const,
    'frozen' as const,
  ),
  turns: fc.nat(3),
});

function made(kind: 'none' | 'a plain error' | 'an error with items' | 'frozen'): Error | undefined {
  if (kind === 'none') return undefined;
  if (kind === 'a plain error') return new Error('of the user');
  const error = new BackpressureError('ERR_BACKPRESSURE_ABORTED', 'of the user', { items: ['foreign'] });
  return kind === 'frozen' ? Object.freeze(error) : error;
}

class Member {
  readonly abort = new AbortController();
  readonly written: string[] = [];
  readonly flushed: string[] = [];
  readonly stream: Ours | PassThrough;

  constructor({ kind, items, flush, batchSize }: Stage, place: number) {
    const deliver = async (batch: string[], { signal }: { signal: AbortSignal }) => {
      if (flush === 'fails') throw new Error(`stage ${place} is down`);
      if (flush === 'waits')
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new Error('ended'))),
        );
      this.flushed.push(...batch);
    };
    const options = { batchSize, abortGraceMs: 10 };
    if (kind === 'writable') this.stream = new BackpressureWritable<string>(deliver, options);
    else if (kind === 'transform') this.stream = new BackpressureTransform<string>();
    else if (kind === 'pass-through') this.stream = new PassThrough({ objectMode: true });
    else this.stream = new BackpressureController<string>(deliver, { ...options, signal: this.abort.signal });
    if (this.stream instanceof BackpressureController) this.stream.start();
    else this.stream.on('error', () => undefined);
    for (let number = 0; number < items; number++) this.#offer(`${place}.${number}`);
  }

  #offer(item: string): void {
    this.written.push(item);
    if (this.stream instanceof BackpressureController) void this.stream.push(item);
    else (this.stream as Writable).write(item);
  }

  end(error: Error | undefined): void {
    if (this.stream instanceof BackpressureController) this.abort.abort(error);
    else (this.stream as Duplex).destroy(error);
  }

  /** What it ended with, and the items that it gives back. */
  async report(): Promise<{ error: unknown; unsettled: string[] }> {
    const { stream } = this;
    if (stream instanceof PassThrough) return { error: stream.errored, unsettled: [] };
    if (!(stream instanceof BackpressureController)) {
      await closed(stream);
      return { error: stream.errored, unsettled: stream.takeUnsettled() };
    }
    const error: unknown = await stream.flush().catch((thrown: unknown) => thrown);
    return { error, unsettled: stream.takeUnsettled() };
  }
}

describe('stages that share one error', () => {
  it('each report their own items, once', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ stages, first, error, turns }) => {
        const members = stages.map((one, place) => new Member(one, place));
        await turn(turns);
        const leader = members[first % members.length]!;
        leader.end(made(error));
        const { error: ended, unsettled: ofLeader } = await leader.report();
        const shared = ended instanceof Error ? ended : new Error('nothing failed');
        const itemsBefore = (shared as Partial<BackpressureError>).items;
        const owners: string[] = [...ofLeader];
        for (const member of members) if (member !== leader) member.end(shared);
        for (const member of members) {
          const { error: own, unsettled } =
            member === leader ? { error: ended, unsettled: ofLeader } : await member.report();
          // What a stage did not deliver comes from it, and from it alone.
          if (!(member.stream instanceof PassThrough))
            expect([...member.flushed, ...unsettled].toSorted()).toEqual(member.written);
          if (member !== leader) owners.push(...unsettled);
          if (own instanceof BackpressureError && own !== shared) expect(own.items).toEqual(unsettled);
        }
        // Nobody changed the error on its way.
        expect((shared as Partial<BackpressureError>).items).toBe(itemsBefore);
        if (error === 'none' && shared instanceof BackpressureError) expect(shared.items).toEqual(ofLeader);
        expect(new Set(owners).size).toBe(owners.length);
      }),
      fastCheckRuns(300),
    );
  });
});
