/**
 * Readers of every manner on transforms of every kind: what was read and what is returned are together what was written, each item once
 * and in order; the ledger and the bound hold after every step; and nothing hangs.
 */

import stream, { PassThrough, Readable, Writable, type Duplex } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BackpressureTransform, type StrategyInput } from '../../src/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { ALL_EVENTS, closed, expectLedger, loadOf, turn, watchLedger } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';

/** Missing from the types of Node 20. */
const { compose } = stream as unknown as { compose: (...stages: unknown[]) => Duplex };

const SIMPLE = [
  'read', 'read(0)', 'flow', 'pause', 'resume', 'listen', 'deafen', 'iterate', 'pipe', 'unpipe', 'unshift', 'encode', 'turn',
] as const; // prettier-ignore

type Step =
  | { kind: (typeof SIMPLE)[number] }
  | { kind: 'write' | 'read(n)'; count: number }
  | { kind: 'end' | 'destroy' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read(n)' as const), count: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 5, arbitrary: fc.constant<Step>({ kind: 'turn' }) },
  { weight: 7, arbitrary: fc.record({ kind: fc.constantFrom(...SIMPLE) }) },
); // prettier-ignore

const setting = fc.record({
  strategy: fc.constantFrom<StrategyInput>('block', 'block', 'drop_oldest', 'drop_newest', 'sample'),
  capacity: fc.integer({ min: 1, max: 20 }),
  byteMode: fc.boolean(),
  encoding: fc.constantFrom<BufferEncoding | undefined>(undefined, 'latin1', 'hex', 'base64', 'utf8'),
  map: fc.constantFrom('none', 'none', 'sync', 'async', 'some', 'late'),
  batchSize: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  last: fc.constantFrom('drain', 'destroy', 'web', 'web cancel', 'compose', 'iterate', 'text'),
});
type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never;

/** How many bytes a chunk has: from none to more than a small buffer holds. */
const sizeOf = (id: number) => (id * 7) % 12;
/** Some items emit nothing. */
const isSilent = (id: number) => id % 3 === 0;

class Run {
  readonly stream: BackpressureTransform<unknown>;
  readonly #given: Setting;
  readonly #written: number[] = [];
  /** Every value that left the transform, in order; what was put back is taken out again. */
  readonly #got: unknown[] = [];
  readonly #pipes: Writable[] = [];
  readonly #deaf: (() => void)[] = [];
  #busy: Promise<unknown> = Promise.resolve();
  #putBack = 0;
  #mappings = 0;
  #demand = 0;
  #isEncoded = false;
  #isExclusive = false;

  constructor(given: Setting) {
    this.#given = given;
    const { strategy, capacity, byteMode, batchSize, map } = given;
    this.stream = new BackpressureTransform<unknown>({
      strategy,
      clock: new ManualClock(),
      random: () => 0.5,
      ...(byteMode ? { objectMode: false, maxBufferBytes: capacity } : { maxBufferSize: capacity }),
      ...(batchSize !== undefined && !byteMode ? { batchSize: Math.min(batchSize, capacity) } : {}),
      ...(map !== 'none' && !byteMode ? { map: (item: unknown) => this.#map(item as number) } : {}),
    });
    watchLedger(
      this.stream,
      ALL_EVENTS.filter((event) => event !== 'error'),
    );
    // Node emits 'data' for all that leaves, also without a listener.
    const emit = this.stream.emit.bind(this.stream);
    this.stream.emit = ((event: string, ...args: unknown[]) => {
      if (event === 'data') this.#got.push(args[0]);
      return emit(event, ...args);
    }) as typeof emit;
  }

  #map(item: number): unknown {
    const { map } = this.#given;
    if (map === 'some' && isSilent(item)) return null;
    if (map === 'async') return Promise.resolve([item]);
    if (map === 'late')
      return turn(1 + (this.#mappings++ % 2)).then(() => (isSilent(item) ? undefined : [item]));
    return [item];
  }

  check(): void {
    const metrics = expectLedger(this.stream);
    const { capacity, byteMode, strategy } = this.#given;
    if (strategy !== 'block' && metrics.waiting > 0) expect.fail('something waits under a dropping strategy');
    if (byteMode) {
      const bytes = metrics.bufferBytes! + metrics.inFlightBytes!;
      if (bytes === 0) this.#demand = 0;
      // A read(n) of more than the buffer holds, half a character, and what was put back need room beyond it; a large chunk is in alone.
      const most = Math.max(capacity, 11, this.#demand + 11) + this.#putBack;
      if (bytes > most) expect.fail(`over the bound of bytes: ${bytes} > ${most}`);
      const isNeeded = this.#demand > 0 || this.#putBack > 0 || this.#isEncoded;
      if (!isNeeded && bytes > capacity && loadOf(metrics) > 1)
        expect.fail(`over the bound of bytes: ${bytes} > ${capacity}`);
    } else if (loadOf(metrics) > capacity + this.#putBack) expect.fail('over the bound');
  }

  async do(action: Step): Promise<void> {
    const { stream } = this;
    if (stream.destroyed || (this.#isExclusive && action.kind !== 'write' && action.kind !== 'turn')) return;
    switch (action.kind) {
      case 'write': this.#write(action.count); break;
      case 'read(n)': this.#read(action.count); break;
      case 'read': stream.read(); break;
      case 'read(0)': stream.read(0); break;
      case 'flow': stream.on('data', () => this.check()); break;
      case 'pause': stream.pause(); break;
      case 'resume': stream.resume(); break;
      case 'listen': stream.on('readable', this.#listener()); break;
      case 'deafen': for (const remove of this.#deaf.splice(0)) remove(); break;
      case 'iterate': return this.#iterate(2);
      case 'pipe': this.#pipe(); break;
      case 'unpipe': for (const to of this.#pipes.splice(0)) stream.unpipe(to); break;
      case 'unshift': this.#unshift(); break;
      case 'encode': this.#encode(); break;
      case 'turn': await turn(1); break;
      case 'end': stream.end(); break;
      case 'destroy': stream.destroy(); break;
      default: action satisfies never;
    } // prettier-ignore
    this.check();
  }

  #write(count: number): void {
    for (let n = 0; n < count && !this.stream.writableNeedDrain && !this.stream.destroyed; n++) {
      const id = this.#written.length;
      this.#written.push(id);
      this.stream.write(this.#given.byteMode ? Buffer.alloc(sizeOf(id), 32 + (id % 64)) : id);
      this.check();
    }
  }

  #read(count: number): void {
    // Whole groups of bytes: half of one cannot be told from bytes.
    const size = this.#isEncoded ? count * 4 : count;
    const chunk: unknown = this.stream.read(size);
    if (chunk === null && this.#given.byteMode) this.#demand = Math.max(this.#demand, size);
  }

  #listener(): () => void {
    const { stream } = this;
    const listener = () => {
      if (this.#written.length % 2 === 0) stream.read();
      else while (stream.read() !== null);
    };
    this.#deaf.push(() => stream.off('readable', listener));
    return listener;
  }

  async #iterate(count: number): Promise<void> {
    let seen = 0;
    const busy = (async () => {
      for await (const value of this.stream.iterator({ destroyOnReturn: false })) {
        if (value !== undefined && ++seen >= count) break;
      }
    })().catch(() => undefined);
    await Promise.race([busy, turn(4)]);
    // It goes on beside the others until there is something.
    this.#busy = Promise.all([this.#busy, busy]);
  }

  #pipe(): void {
    const to = new Writable({
      objectMode: true,
      highWaterMark: 2,
      write: (_value, _encoding, done) => void setImmediate(done),
    });
    this.#pipes.push(to);
    this.stream.pipe(to);
  }

  #unshift(): void {
    const { stream } = this;
    if (
      this.#got.length === 0 ||
      stream.readableEnded ||
      (this.#given.map !== 'none' && !this.#given.byteMode)
    )
      return;
    const value = this.#got.at(-1);
    // Bytes cannot be put into text.
    if (this.#isEncoded !== (typeof value === 'string') && this.#given.byteMode) return;
    this.#got.pop();
    this.#putBack += this.#given.byteMode ? (value as Buffer).length : [value].flat().length;
    stream.unshift(value, this.#isEncoded ? this.#given.encoding : undefined);
  }

  #encode(): void {
    const { byteMode, encoding } = this.#given;
    if (!byteMode || encoding === undefined || this.#isEncoded || this.#putBack > 0) return;
    this.#isEncoded = true;
    this.stream.setEncoding(encoding);
  }

  /** Ends the input, and reads everything in one last manner; or destroys it. */
  async finish(): Promise<void> {
    const { stream } = this;
    const { last } = this.#given;
    if (!stream.destroyed) {
      if (last === 'destroy') stream.destroy();
      else {
        this.#unlisten();
        stream.end();
        await this.#within(this.#readAll(last), `${last} hangs`);
        // From Node 24 on a web stream of one that has ended already closes without reading it.
        stream.resume();
      }
    }
    await this.#within(closed(stream), 'it never closes');
    await this.#within(this.#busy, 'an iterator hangs');
    await turn();
    this.#checkEnd();
  }

  #unlisten(): void {
    for (const to of this.#pipes.splice(0)) this.stream.unpipe(to);
    for (const remove of this.#deaf.splice(0)) remove();
  }

  async #readAll(how: Setting['last']): Promise<void> {
    const { stream } = this;
    await turn();
    if (how === 'web' || how === 'web cancel') return this.#readWeb(how === 'web cancel');
    if (how === 'iterate') {
      for await (const value of stream) {
        this.check();
        if (value !== undefined && this.#got.length % 5 === 0) await turn(1);
      }
    } else if (how === 'compose' && !this.#given.byteMode && stream.readable) {
      const both = compose(stream, new PassThrough({ objectMode: true }));
      for await (const value of both) {
        this.check();
        expect(value).not.toBeNull();
      }
    } else if (how === 'text' && this.#given.byteMode && !this.#isEncoded && stream.readable) {
      await new Response(Readable.toWeb(stream) as never).arrayBuffer();
    } else {
      // Node forgets a resume() if a listener of 'readable' goes after it.
      for (let round = 0; round < 1_000 && !stream.closed; round++) {
        stream.resume();
        await turn(1);
      }
    }
  }

  async #readWeb(cancels: boolean): Promise<void> {
    // The adapter knows bytes and objects only.
    if (this.#isEncoded || !this.stream.readable) return void this.stream.resume();
    const reader = Readable.toWeb(this.stream).getReader();
    for (let round = 0; ; round++) {
      const reads = await Promise.all([reader.read(), reader.read(), reader.read()]);
      this.check();
      if (cancels && round === 1) return reader.cancel();
      if (reads.some(({ done }) => done)) return;
    }
  }

  async #within(done: Promise<unknown>, what: string): Promise<void> {
    const state = { isDone: false };
    const note = () => void (state.isDone = true);
    void done.then(note, note);
    for (let round = 0; round < 2_000 && !state.isDone; round++) await turn(1);
    if (!state.isDone) expect.fail(`${what}: ${JSON.stringify(this.stream.getMetrics())}`);
    await done;
  }

  #checkEnd(): void {
    const metrics = expectLedger(this.stream);
    expect(metrics).toMatchObject({
      waiting: 0,
      bufferSize: 0,
      inFlight: 0,
      eventsOffered: this.#written.length,
    });
    const rest = this.stream.takeUnsettled();
    if (this.#given.byteMode) this.#checkBytes(rest as Buffer[], metrics.eventsFlushed);
    else this.#checkItems(rest as number[], metrics);
  }

  #checkItems(rest: number[], metrics: ReturnType<BackpressureTransform['getMetrics']>): void {
    const { map, strategy } = this.#given;
    const got = this.#got.flat(2) as number[];
    const isLost = map === 'some' || map === 'late' ? isSilent : () => false;
    const all = [...got, ...rest];
    expect(rest).toHaveLength(metrics.eventsFailed + metrics.dropsByReason.aborted);
    if (strategy === 'block') {
      const missing = this.#written.filter((id) => !all.includes(id));
      expect(missing.every(isLost), `lost: ${missing.join()}`).toBe(true);
      expect(metrics.eventsFlushed).toBe(got.length + missing.length);
    } else if (isLost(1) || map === 'none' || map === 'sync' || map === 'async') {
      expect(metrics.eventsFlushed).toBe(got.length);
    }
    expect(all, 'order').toEqual(all.toSorted((a, b) => a - b));
    expect(new Set(all).size, 'doubled').toBe(all.length);
  }

  #checkBytes(rest: Buffer[], flushed: number): void {
    const all = Buffer.concat([...this.#gotBytes(), ...rest]);
    const got = all.length - rest.reduce((sum, chunk) => sum + chunk.length, 0);
    let at = 0;
    let whole = 0;
    for (const id of this.#written) {
      const size = sizeOf(id);
      const isThere = size > 0 && all[at] === 32 + (id % 64);
      if (!isThere) {
        if (size > 0 && this.#given.strategy === 'block') expect.fail(`chunk ${id} is lost`);
        continue;
      }
      if (!all.subarray(at, at + size).equals(Buffer.alloc(size, 32 + (id % 64))))
        expect.fail(`chunk ${id} is damaged`);
      at += size;
      if (at <= got) whole++;
    }
    expect(at, 'something is doubled, or out of order').toBe(all.length);
    // An empty chunk is read as soon as everything before it is.
    const empty = this.#written.filter((id) => sizeOf(id) === 0).length;
    if (this.#putBack > 0) return;
    expect(flushed).toBeGreaterThanOrEqual(whole);
    expect(flushed).toBeLessThanOrEqual(whole + empty);
  }

  #gotBytes(): Buffer[] {
    const bytes = this.#got.filter((value) => typeof value !== 'string') as Uint8Array[];
    const text = this.#got.filter((value) => typeof value === 'string').join('');
    return [...bytes.map((chunk) => Buffer.from(chunk)), Buffer.from(text, this.#given.encoding)];
  }
}

it('readers of every manner get each item once, in order, or have it returned', async () => {
  await fc.assert(
    fc.asyncProperty(setting, fc.array(step, { maxLength: 30 }), async (given, steps) => {
      const run = new Run(given);
      for (const action of steps) await run.do(action);
      await run.finish();
    }),
    fastCheckRuns(400),
  );
});
