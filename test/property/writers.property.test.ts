/**
 * Writers of all manners, many at once, into one stream or controller: all come through, each item has one outcome, in order for each writer,
 * and the bound holds after every step.
 */

import type { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  ItemError,
  type DropReason,
  type StrategyInput,
} from '../../src/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { ALL_EVENTS, expectLedger, loadOf, turn, watchLedger } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';
import { IMPOLITE, POLITE, PUSHERS, WEB, type Push, type WebWriter } from '../support/writers.js';

type Kind = 'writable' | 'transform' | 'controller';
type Subject =
  BackpressureWritable<unknown> | BackpressureTransform<unknown> | BackpressureController<unknown>;

const writer = fc.record({ manner: fc.nat(999), count: fc.integer({ min: 1, max: 12 }) });

const setting = fc.record({
  strategy: fc.constantFrom<StrategyInput>('block', 'block', 'drop_oldest', 'drop_newest', 'sample'),
  capacity: fc.integer({ min: 1, max: 50 }),
  bytes: fc.constantFrom('none', 'none', 'sizeOf', 'byte mode'),
  batchSize: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
  concurrency: fc.integer({ min: 1, max: 4 }),
  yieldEvery: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
  maxWaiting: fc.constantFrom('usual', 'none', 'enough'),
  destination: fc.constantFrom('fast', 'slow', 'in turn', 'fails now and then', 'fails in part', 'ends it'),
  company: fc.constantFrom('polite', 'polite', 'one polite manner', 'web', 'mixed'),
  writers: fc.oneof(
    fc.array(writer, { minLength: 2, maxLength: 8 }),
    fc.array(writer, { minLength: 2, maxLength: 40 }),
  ),
});
type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never;

/** How many items a writer has at the most, so that an item's number tells its writer. */
const PER_WRITER = 100;
const sizeOf = (id: number) => 1 + (id % 7);
const toChunk = (id: number): Buffer => {
  const chunk = Buffer.alloc(6 + (id % 7), id);
  chunk.writeUInt8(chunk.length, 0);
  chunk.writeUInt32BE(id, 1);
  return chunk;
};

/** What became of the items, in the order in which it did. */
class Outcomes {
  readonly delivered: number[] = [];
  readonly failed: number[] = [];
  readonly dropped: number[] = [];
  /** Returned, or refused with an error. */
  readonly returned = new Set<number>();

  expectEachOnce(offered: number): void {
    const all = [...this.delivered, ...this.failed, ...this.dropped, ...this.returned];
    expect(new Set(all).size, 'an item has two outcomes').toBe(all.length);
    expect(all.length, 'an item has no outcome').toBe(offered);
  }

  expectOrder(): void {
    const last = new Map<number, number>();
    for (const id of this.delivered) {
      const from = Math.floor(id / PER_WRITER);
      if ((last.get(from) ?? -1) > id) expect.fail(`order of writer ${from}: ${this.delivered.join()}`);
      last.set(from, id);
    }
  }
}

class Run {
  readonly #clock = new ManualClock();
  readonly #given: Setting;
  readonly #subject: Subject;
  readonly #outcomes = new Outcomes();
  readonly #isByteMode: boolean;
  #calls = 0;
  #web: ReturnType<WebWriter> | undefined;

  constructor(given: Setting, kind: Kind) {
    this.#given = given;
    this.#isByteMode = given.bytes === 'byte mode' && kind !== 'controller';
    this.#subject = this.#create(kind);
    this.#listen(this.#subject);
  }

  #listen(subject: Subject): void {
    const { returned, dropped } = this.#outcomes;
    (subject as EventEmitter).on('drop', (item: unknown, reason: DropReason) => {
      const id = this.#idOf(item);
      if (reason === 'aborted') returned.add(id);
      else dropped.push(id);
    });
    if (subject instanceof BackpressureController) {
      subject.start();
      return;
    }
    subject.setMaxListeners(0);
    watchLedger(subject, ALL_EVENTS);
    if (subject instanceof BackpressureTransform) this.#read(subject);
  }

  #create(kind: Kind) {
    const { strategy, capacity, bytes, batchSize, concurrency, destination, maxWaiting, yieldEvery } =
      this.#given;
    const enough = this.#given.writers.length * PER_WRITER * 12;
    const buffer = {
      strategy,
      clock: this.#clock,
      random: () => 0.5,
      ...(this.#isByteMode
        ? { objectMode: false, maxBufferBytes: capacity * 6 }
        : { maxBufferSize: capacity }),
      ...(bytes === 'sizeOf'
        ? { sizeOf: sizeOf as (item: unknown) => number, maxBufferBytes: capacity * 3 }
        : {}),
      ...(maxWaiting === 'usual' ? {} : { maxWaiting: maxWaiting === 'none' ? 0 : enough }),
    };
    const batch =
      batchSize === undefined || this.#isByteMode ? {} : { batchSize: Math.min(batchSize, capacity) };
    if (kind === 'transform') return new BackpressureTransform<unknown>(buffer);
    const takesFailures = destination === 'fails now and then' || destination === 'fails in part';
    const options = {
      ...buffer,
      ...batch,
      concurrency,
      retry: { attempts: takesFailures ? 2 : 1, minDelayMs: 20 },
      ...(takesFailures
        ? {
            onFailed: (failures: { item: unknown }[]) =>
              void this.#outcomes.failed.push(...failures.map(({ item }) => this.#idOf(item))),
          }
        : {}),
    };
    const flush = (items: unknown[]) => this.#flush(items);
    if (kind === 'controller') return new BackpressureController<unknown>(flush, options);
    const yields = yieldEvery !== undefined && strategy === 'block' && !this.#isByteMode;
    return new BackpressureWritable<unknown>(flush, { ...options, ...(yields ? { yieldEvery } : {}) });
  }

  #idOf(item: unknown): number {
    return this.#isByteMode ? (item as Buffer).readUInt32BE(1) : (item as number);
  }

  async #flush(items: unknown[]) {
    const { destination } = this.#given;
    const call = this.#calls++;
    if (destination === 'slow') await this.#wait(10 + (call % 3) * 40);
    if (destination === 'in turn' || call % 4 === 1) await turn(1);
    if (destination === 'fails now and then' && call % 3 === 1) throw new Error('not now');
    if (destination === 'ends it' && call === 4) throw new Error('down');
    const refused =
      destination === 'fails in part' ? items.filter((_, place) => (place + call) % 3 === 1) : [];
    this.#outcomes.delivered.push(
      ...items.filter((item) => !refused.includes(item)).map((item) => this.#idOf(item)),
    );
    if (refused.length === 0) return undefined;
    const errors = refused.map((item) => new ItemError(items.indexOf(item), { retryable: call % 2 === 0 }));
    return { success: items.length - refused.length, failed: refused.length, errors };
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.setTimeout(resolve, ms));
  }

  /** The transform's reader, which is as fast, slow or short-lived as the destination. */
  #read(stream: BackpressureTransform<unknown>): void {
    const { destination } = this.#given;
    let rest = Buffer.alloc(0);
    // Node emits 'data' for all that leaves.
    stream.on('data', (value: unknown) => {
      if (!this.#isByteMode) return void this.#outcomes.delivered.push(value as number);
      rest = Buffer.concat([rest, value as Buffer]);
      while (rest.length > 0 && rest.length >= rest[0]!) {
        this.#outcomes.delivered.push(rest.readUInt32BE(1));
        rest = rest.subarray(rest[0]);
      }
    });
    if (destination === 'fast') return;
    const sink = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (_value, _encoding, done) => {
        if (destination === 'ends it' && this.#calls++ === 4) stream.destroy(new Error('down'));
        else if (destination === 'slow') this.#clock.setTimeout(done, 10);
        else setImmediate(done);
      },
    });
    stream.pipe(sink);
  }

  /** Starts all writers. Resolves when all are through. */
  #write(): Promise<unknown> {
    const { writers, company } = this.#given;
    const subject = this.#subject;
    const lists = writers.map(({ count }, from) =>
      Array.from({ length: count }, (_, place) => from * PER_WRITER + place),
    );
    if (subject instanceof BackpressureController) {
      const manners = Object.values(PUSHERS);
      const pusher = this.#pusher(subject);
      return Promise.all(
        lists.map((ids, from) => manners[writers[from]!.manner % manners.length]!(pusher, ids)),
      );
    }
    const all = company === 'web' ? WEB : company === 'mixed' ? { ...POLITE, ...IMPOLITE } : POLITE;
    const manners = Object.values(all);
    const web: WebWriter = () => (this.#web ??= Writable.toWeb(subject).getWriter());
    return Promise.allSettled(
      lists.map((ids, from) => {
        const { manner } = writers[company === 'one polite manner' ? 0 : from]!;
        const chunks = this.#isByteMode ? ids.map(toChunk) : ids;
        return manners[manner % manners.length]!(subject, chunks, web);
      }),
    );
  }

  #pusher(controller: BackpressureController<unknown>): Push {
    const refuse = (item: number) => {
      this.#outcomes.returned.add(item);
      return !this.#isOver;
    };
    return {
      controller,
      push: (item) =>
        controller.push(item).then(
          () => true,
          (error: unknown) => {
            // It is told of as dropped, too.
            if ((error as { code?: string }).code !== 'ERR_BACKPRESSURE_OVERFLOW') refuse(item);
            return !this.#isOver;
          },
        ),
      tryPush: (item) => {
        try {
          controller.tryPush(item);
          return true;
        } catch {
          return refuse(item);
        }
      },
    };
  }

  get #isOver(): boolean {
    return this.#subject.getMetrics().isFailed;
  }

  check(): void {
    const metrics = expectLedger(this.#subject);
    const { capacity, bytes, company, writers, maxWaiting, strategy } = this.#given;
    const used = (metrics.bufferBytes ?? 0) + ('inFlightBytes' in metrics ? (metrics.inFlightBytes ?? 0) : 0);
    if (!this.#isByteMode && loadOf(metrics) > capacity) expect.fail('over the bound');
    const most = this.#isByteMode ? capacity * 6 : bytes === 'sizeOf' ? capacity * 3 : Infinity;
    // What is larger than the whole buffer is in alone.
    if (used > most && loadOf(metrics) > 1) expect.fail(`over the bound of bytes: ${used} > ${most}`);
    if (strategy !== 'block' && metrics.waiting > 0) expect.fail('something waits under a dropping strategy');
    if (this.#subject instanceof BackpressureController) return;
    // One for each that listens, one for each that has just been sent on, and the one that finds no room.
    const mayWait = 2 * writers.length + 1 + (maxWaiting === 'none' ? 0 : capacity);
    if (company !== 'mixed' && !this.#isByteMode && maxWaiting !== 'enough' && metrics.waiting > mayWait)
      expect.fail(`more wait than writers: ${metrics.waiting} > ${mayWait}`);
  }

  async run(): Promise<void> {
    await this.#within(this.#write(), 'a writer hangs');
    const subject = this.#subject;
    if (subject instanceof BackpressureController) {
      await this.#within(
        subject.drain().catch(() => undefined),
        'drain() hangs',
      );
      subject.stop();
    } else {
      if (!subject.destroyed) subject.end();
      const isClosed = new Promise<void>((resolve) => {
        if (subject.closed) resolve();
        else subject.once('close', resolve);
      });
      await this.#within(isClosed, 'it never closes');
    }
    await turn();
    this.#checkEnd();
  }

  async #within(done: Promise<unknown>, what: string): Promise<void> {
    const state = { isDone: false };
    void done.finally(() => (state.isDone = true)).catch(() => undefined);
    for (let round = 0; round < 5_000 && !state.isDone; round++) {
      this.check();
      await this.#clock.advance(20);
    }
    if (!state.isDone) expect.fail(`${what}: ${JSON.stringify(this.#subject.getMetrics())}`);
    await done;
  }

  #checkEnd(): void {
    this.check();
    const subject = this.#subject;
    const metrics = subject.getMetrics();
    const { destination, company, maxWaiting, concurrency, writers } = this.#given;
    const outcomes = this.#outcomes;
    const unsettled = subject.takeUnsettled().map((item) => this.#idOf(item));
    expect(new Set(unsettled).size, 'returned twice').toBe(unsettled.length);
    for (const id of unsettled) outcomes.returned.add(id);
    outcomes.expectEachOnce(metrics.eventsOffered);
    expect(metrics).toMatchObject({
      waiting: 0,
      bufferSize: 0,
      inFlight: 0,
      eventsFlushed: outcomes.delivered.length,
    });
    if (destination !== 'fails in part' && (concurrency === 1 || subject instanceof BackpressureTransform))
      outcomes.expectOrder();
    const mayFail = destination === 'ends it' || (company === 'mixed' && maxWaiting !== 'enough');
    if (!(subject instanceof BackpressureController) && !mayFail) {
      expect(subject.errored, 'it failed').toBeNull();
      expect(metrics.eventsOffered).toBe(writers.reduce((sum, { count }) => sum + count, 0));
    }
    expect(this.#clock.pending, 'timers').toBe(0);
  }
}

describe.each<Kind>(['writable', 'transform', 'controller'])('writers of all manners of one %s', (kind) => {
  it('all come through, and each item has one outcome, in order, within the bound', async () => {
    await fc.assert(
      fc.asyncProperty(setting, (given) => new Run(given, kind).run()),
      fastCheckRuns(60),
    );
  });
});
