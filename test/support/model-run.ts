import assert from 'node:assert/strict';
import { BackpressureController } from '../../src/controller/backpressure-controller.js';
import type { BackpressureError } from '../../src/api/errors.js';
import type { FailedItem, Settlement, SinkOptions } from '../../src/api/options.js';
import type { DropReason } from '../../src/api/states.js';
import { type Behaviour, type ScriptedCall, ScriptedDestination } from './destinations.js';
import { ManualClock, settle } from './manual-clock.js';
import { checkInstant, checkState, type Bounds } from './model.js';

export interface Item {
  id: number;
  size: number;
  /** `shed` may drop it. */
  low: boolean;
}

/** What a test does to the engine, one step after another. */
export type Step =
  | { kind: 'push' | 'tryPush'; count: number; size: number; low: boolean }
  | { kind: 'flush' | 'stop' | 'start' | 'abort' }
  | { kind: 'drain'; timeoutMs: number | undefined }
  | { kind: 'whenBelow'; count: number }
  | { kind: 'advance'; ms: number }
  /** On with the next step at once: promises do not get to settle. */
  | { kind: 'hurry' };

/** Where the user's own code runs: the engine is then in the middle of something. */
export type Inside =
  'state' | 'drop' | 'flush' | 'retry' | 'breaker' | 'failed' | 'settled' | 'call' | 'shed' | 'sizeOf';

export type InsideAct = 'abort' | 'push' | 'tryPush' | 'flush' | 'drain' | 'stop' | 'start';

export interface Plan {
  options: Omit<SinkOptions<Item>, 'clock' | 'signal' | 'shed' | 'sizeOf' | 'onFailed' | 'onSettled'>;
  bytes: { maxBufferBytes?: number; batchBytes?: number } | undefined;
  sheds: boolean;
  /** Items have positions; so many in a row share one. */
  perPosition: number | undefined;
  onFailed: 'none' | 'sync' | 'slow' | 'throws';
  script: readonly Behaviour[];
  steps: readonly Step[];
  /** Something that the user's code does there, so many `times` from its `after`th turn on, but not within itself. */
  inside: { where: Inside; after: number; times: number; act: InsideAct } | undefined;
}

const ONE = { count: 1, size: 1, low: false };

type Watched = { what: string; done: boolean };

/** One run of an engine against a scripted destination, on a manual clock, with every promise checked on the way. */
export class EngineRun {
  readonly clock = new ManualClock();
  readonly controller: BackpressureController<Item>;
  readonly destination: ScriptedDestination<Item>;
  readonly bounds: Bounds;
  readonly #plan: Plan;
  readonly #abort = new AbortController();
  readonly #items: Item[] = [];
  readonly #outcomes = new Map<number, Settlement<Item>>();
  readonly #answers = new Map<number, boolean | Error>();
  readonly #dropEvents = new Map<DropReason, number>();
  /** Settled, and `onSettled` is told within the same turn. */
  readonly #dropped = new Set<number>();
  readonly #handled = new Set<number>();
  readonly #watched: Watched[] = [];
  #state = 'normal';
  #drains = 0;
  #running = false;
  #inside = 0;
  #isInside = false;
  #ending = false;
  #lastFirstCall = -1;
  #lastCall: ScriptedCall<Item> | undefined;
  #committed = -1;
  #committedBelow = 0;
  #offeredAtCommit = 0;
  #breaker = 'closed';
  /** Calls since it is half open. */
  #probes = 0;
  #represented = 0;
  #healthy = true;
  /** What listeners found wrong: thrown there, the engine would take it for a failure of theirs. */
  readonly #violations: unknown[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    this.bounds = boundsOf(plan);
    this.destination = new ScriptedDestination<Item>(this.clock, plan.script, (call) => this.#onCall(call));
    const { bytes } = plan;
    this.controller = new BackpressureController<Item>(this.destination.flush, {
      ...plan.options,
      ...bytes,
      ...(bytes && { sizeOf: (item: Item) => (this.#within('sizeOf'), item.size) }),
      ...(plan.sheds && {
        shed: (item: Item, state: string) => (this.#within('shed'), item.low && state !== 'normal'),
      }),
      ...(plan.onFailed !== 'none' && {
        onFailed: (failures: FailedItem<Item>[]) => this.#onFailed(failures),
      }),
      // Where the order is not that of the ids, positions would go down.
      ...(this.#hasPositions && { positionOf: (item: Item) => this.#positionOf(item.id) }),
      onSettled: (settlements) => this.#onSettled(settlements),
      clock: this.clock,
      signal: this.#abort.signal,
    });
    this.#listen();
  }

  async run(): Promise<void> {
    for (const [index, step] of this.#plan.steps.entries()) {
      const where = `step ${index} (${step.kind})`;
      await this.#take(step);
      if (step.kind === 'hurry') continue;
      if (this.#plan.steps[index + 1]?.kind !== 'hurry') await settle();
      this.#check(where);
      if (this.#plan.steps[index + 1]?.kind !== 'hurry') this.#checkAtRest(where);
    }
    await this.#end();
  }

  #take(step: Step): void | Promise<void> {
    const { controller } = this;
    switch (step.kind) {
      case 'push':
        for (let n = 0; n < step.count; n++) this.#push(step);
        break;
      case 'tryPush':
        for (let n = 0; n < step.count; n++) this.#tryPush(step);
        break;
      case 'flush':
        this.#watchSettled('flush', controller.flush());
        break;
      case 'drain': {
        const options = step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs };
        const drained = controller.drain(options);
        // One that has ended has nothing to drain: it only tells why, once everything has been returned.
        if (controller.getMetrics().state === 'draining') {
          this.#drains++;
          drained.finally(() => this.#drains--).catch(() => undefined);
        }
        this.#watchSettled('drain', drained);
        break;
      }
      case 'whenBelow':
        this.#watch('whenBelow', controller.whenBelow(step.count));
        break;
      case 'start':
        this.#running = true;
        controller.start();
        break;
      case 'stop':
        this.#running = false;
        controller.stop();
        break;
      case 'abort':
        this.#abort.abort();
        break;
      case 'advance':
        return this.clock.advance(step.ms);
      case 'hurry':
        break;
    }
  }

  #offer({ size, low }: { size: number; low: boolean }): Item {
    const item = { id: this.#items.length, size, low };
    this.#items.push(item);
    return item;
  }

  #push(step: Step & { kind: 'push' | 'tryPush' }): void {
    const item = this.#offer(step);
    const pushed = this.controller.push(item).then(
      (answer) => void this.#answers.set(item.id, answer),
      (error: unknown) => void this.#answers.set(item.id, error as Error),
    );
    this.#watch(`push of ${item.id}`, pushed);
  }

  #tryPush(step: Step & { kind: 'push' | 'tryPush' }): void {
    const item = this.#offer(step);
    try {
      this.#answers.set(item.id, this.controller.tryPush(item));
    } catch (thrown) {
      this.#answers.set(item.id, thrown as Error);
    }
  }

  /** An item that is pushed while another one is being decided on may come before it. */
  get #isOrdered(): boolean {
    const { inside } = this.#plan;
    const offers = inside?.act === 'push' || inside?.act === 'tryPush';
    return !offers || !['drop', 'shed', 'sizeOf'].includes(inside.where);
  }

  get #hasPositions(): boolean {
    return this.#plan.perPosition !== undefined && this.#isOrdered;
  }

  #positionOf(id: number): number {
    return Math.floor(id / this.#plan.perPosition!);
  }

  #watch(what: string, promise: Promise<unknown>): void {
    const watched = { what, done: false };
    this.#watched.push(watched);
    const done = () => {
      watched.done = true;
    };
    promise.then(done, done);
  }

  /** What `flush()` and `drain()` promise: whatever was offered before has settled when they resolve. */
  #watchSettled(what: string, promise: Promise<void>): void {
    const offered = this.#items.length;
    const checked = promise.then(
      () =>
        this.#guard(() => {
          for (let id = 0; id < offered; id++)
            assert.ok(this.#outcomes.has(id), `${what}() resolved, item ${id} is open`);
        }),
      (error: unknown) => this.#guard(() => assert.ok(error instanceof Error)),
    );
    this.#watch(what, checked);
  }

  // ── what the engine calls ──

  #listen(): void {
    this.controller
      .on('state', (state, previous) => {
        this.#guard(() => {
          assert.notEqual(state, previous, 'a state event without a change');
          assert.equal(previous, this.#state, 'state events follow each other');
        });
        this.#state = state;
        this.#within('state');
      })
      .on('drop', (item, reason) => {
        this.#dropEvents.set(reason, (this.#dropEvents.get(reason) ?? 0) + 1);
        this.#dropped.add(item.id);
        this.#guard(() =>
          assert.ok(!this.#outcomes.has(item.id), `item ${item.id} dropped after it settled`),
        );
        this.#within('drop');
      })
      .on('flush', (report) => {
        this.#healthy =
          !report.transportFailure && report.latencyMs <= 1.5 * (this.#plan.options.targetLatencyMs ?? 500);
        this.#guard(() => assert.equal(report.success + report.failed, report.items));
        this.#within('flush');
      })
      .on('retry', () => this.#within('retry'))
      .on('breaker', (state, previous) => {
        this.#guard(() => {
          assert.equal(previous, this.#breaker, 'breaker events follow each other');
          assert.equal(this.controller.getMetrics().breaker, state);
          if (previous === 'half_open' && state === 'open')
            assert.equal(this.#probes, 1, 'one probe decides');
        });
        this.#breaker = state;
        this.#probes = 0;
        this.#within('breaker');
      })
      .on('failed', () => this.#within('failed'));
  }

  #onCall(call: ScriptedCall<Item>): void {
    const { items, context } = call;
    this.#guard(() => {
      const ids = items.map(({ id }) => id);
      assert.ok(items.length > 0, 'an empty batch');
      assert.ok(items.length <= this.bounds.batchSize, `a batch of ${items.length}`);
      const batchBytes = this.#plan.bytes?.batchBytes ?? Infinity;
      const bytes = items.reduce((sum, { size }) => sum + size, 0);
      if (items.length > 1) assert.ok(bytes <= batchBytes, `a batch of ${bytes} bytes`);
      for (const id of ids) assert.ok(!this.#outcomes.has(id), `item ${id} was called after it settled`);
      for (let n = 1; n < ids.length && this.#isOrdered; n++)
        assert.ok(ids[n]! > ids[n - 1]!, 'a batch is in order');
      assert.ok(!this.#abort.signal.aborted, 'called after an abort');
      assert.notEqual(this.#breaker, 'open', 'a call while the breaker is open');
      if (this.#breaker === 'half_open') {
        assert.equal(++this.#probes, 1, 'one call while the breaker is half open');
        assert.ok(this.#running, 'a probe while stopped');
      }
      assert.equal(context.weights.length, items.length);
      assert.equal(
        context.weights.reduce((sum, weight) => sum + weight, 0),
        context.represents,
      );
      if (context.attempt === 1) {
        assert.ok(this.#running, 'a batch begun while stopped');
        if (this.#isOrdered)
          assert.ok(ids[0]! > this.#lastFirstCall, 'batches begin in the order of admission');
        this.#lastFirstCall = ids.at(-1)!;
        this.#represented += context.represents;
      } else if (this.bounds.concurrency === 1) {
        const before = new Set(this.#lastCall?.items);
        assert.ok(
          items.every((item) => before.has(item)),
          'at concurrency 1 nothing comes before a retry',
        );
      }
    });
    this.#lastCall = call;
    this.#within('call');
  }

  #onSettled(settlements: readonly Settlement<Item>[]): void {
    this.#guard(() => {
      for (const settlement of settlements) {
        const { id } = settlement.item;
        assert.ok(!this.#outcomes.has(id), `item ${id} settled twice`);
        this.#outcomes.set(id, settlement);
      }
      this.#checkCommitted();
    });
    this.#within('settled');
  }

  #onFailed(failures: readonly FailedItem<Item>[]): Promise<void> | undefined {
    this.#guard(() => {
      for (const { item } of failures) {
        assert.ok(!this.#outcomes.has(item.id), `item ${item.id} settled before onFailed had it`);
        this.#handled.add(item.id);
      }
    });
    this.#checkInside('onFailed');
    if (this.#plan.onFailed === 'throws') throw new Error('onFailed threw');
    if (this.#plan.onFailed === 'sync') return undefined;
    return new Promise((resolve) => void this.clock.setTimeout(resolve, 30));
  }

  #within(where: Inside): void {
    this.#checkInside(where);
    const { inside } = this.#plan;
    if (inside?.where !== where || this.#isInside) return;
    const turn = this.#inside++;
    if (turn < inside.after || turn >= inside.after + inside.times) return;
    if (this.#ending && inside.act === 'stop') return;
    this.#isInside = true;
    void this.#take({ kind: inside.act, ...ONE, timeoutMs: undefined });
    this.#isInside = false;
  }

  #checkInside(where: string): void {
    // Beside those in line, an item may just be being decided on, and within that another one.
    this.#guard(() => checkInstant(this.controller.getMetrics(), this.bounds, where, 2));
  }

  #guard(check: () => void): void {
    try {
      check();
    } catch (thrown) {
      this.#violations.push(thrown);
    }
  }

  // ── checks ──

  /** Nothing is open up to the committed position. */
  #checkCommitted(): void {
    const committed = this.controller.committedPosition as number | undefined;
    assert.equal(this.controller.getMetrics().committedPosition, committed);
    if (committed === undefined || committed === this.#committed) return;
    assert.ok(committed > this.#committed, `committed ${committed} after ${this.#committed}`);
    this.#committed = committed;
    this.#offeredAtCommit = this.#items.length;
    for (; this.#committedBelow < this.#items.length; this.#committedBelow++) {
      const id = this.#committedBelow;
      if (this.#positionOf(id) > committed) return;
      const isSettled = this.#outcomes.has(id) || this.#dropped.has(id);
      assert.ok(isSettled, `committed ${committed}, but item ${id} is open`);
    }
  }

  #check(where: string): void {
    if (this.#violations.length > 0) throw this.#violations[0];
    const metrics = this.controller.getMetrics();
    checkInstant(metrics, this.bounds, where);
    checkState(metrics, this.bounds, where);
    assert.equal(metrics.state, this.#state, `${where}: the state is the one that was told`);
    assert.equal(metrics.eventsOffered, this.#items.length, `${where}: offered`);
    for (const [reason, count] of Object.entries(metrics.dropsByReason))
      assert.equal(
        this.#dropEvents.get(reason as DropReason) ?? 0,
        count,
        `${where}: 'drop' events for ${reason}`,
      );
    if (this.#plan.options.strategy === 'block')
      assert.equal(metrics.unrepresented, 0, `${where}: nothing is sampled`);
  }

  /** Once all promises have had their turn: what is due has begun. */
  #checkAtRest(where: string): void {
    const metrics = this.controller.getMetrics();
    const { bufferSize: queued, inFlight, waiting, oldestItemAgeMs, currentFlushIntervalMs } = metrics;
    assert.equal(metrics.state === 'draining', this.#drains > 0, `${where}: DRAINING while it drains`);
    if (this.#abort.signal.aborted) assert.equal(queued + waiting, 0, `${where}: open after an abort`);
    const settled = metrics.eventsFlushed + metrics.eventsFailed + metrics.eventsDropped;
    assert.equal(this.#outcomes.size, settled, `${where}: settled items were told to onSettled`);
    // Once it has failed and nothing is in flight, there is none any more.
    const isOver = metrics.isFailed && metrics.breaker === 'closed';
    assert.equal(
      metrics.breaker,
      isOver ? 'closed' : this.#breaker,
      `${where}: the breaker is what was told`,
    );
    this.#checkCommitted();
    if (!this.#running || inFlight > 0 || metrics.breaker === 'open') return;
    // Timers go by whole milliseconds, rounded up; intervals and the times of items need not.
    assert.ok(
      oldestItemAgeMs < currentFlushIntervalMs + 1,
      `${where}: the oldest item is ${oldestItemAgeMs} ms old`,
    );
    if (this.#drains > 0) assert.equal(queued, 0, `${where}: draining, but idle`);
    if (!this.#healthy) return;
    assert.ok(queued < this.bounds.batchSize, `${where}: a full batch, but idle`);
    assert.equal(waiting, 0, `${where}: a producer waits beside an idle slot`);
  }

  async #end(): Promise<void> {
    this.#ending = true;
    this.destination.heal();
    await this.#take({ kind: 'start' });
    await this.#take({ kind: 'drain', timeoutMs: undefined });
    await this.clock.advance(20_000);
    this.#check('at the end');
    this.#checkAtRest('at the end');
    const open = this.#watched.filter(({ done }) => !done).map(({ what }) => what);
    assert.deepEqual(open, [], 'promises that are never kept');
    assert.equal(this.clock.pending, 0, 'timers are left');
    const metrics = this.controller.getMetrics();
    assert.equal(metrics.waiting + metrics.bufferSize + metrics.inFlight, 0, 'open at the end');
    assert.equal(this.#outcomes.size, this.#items.length, 'each item has an outcome');
    const unsettled = this.controller.takeUnsettled().map(({ id }) => id);
    this.#checkOutcomes();
    this.#checkHandedBack(unsettled);
    this.#checkCommittedAtEnd(unsettled);
    this.#checkRepresented(unsettled.length > 0);
  }

  /** All that was in a batch and settled before whatever is returned; of what shares a position, all or none. */
  #checkCommittedAtEnd(unsettled: readonly number[]): void {
    if (!this.#hasPositions) return;
    // One that came after its position had been committed, as the last part of a record may, could not hold it back.
    for (const id of unsettled.filter((id) => id < this.#offeredAtCommit))
      assert.ok(this.#committed < this.#positionOf(id), `committed ${this.#committed}, returned ${id}`);
    if (unsettled.length > 0) return;
    const last = [...this.#outcomes].filter(([, { outcome }]) => outcome !== 'dropped').map(([id]) => id);
    assert.equal(this.#committed, last.length === 0 ? -1 : this.#positionOf(Math.max(...last)), 'committed');
  }

  /** Under `sample` the kept items stand for all that were offered; else each stands for itself. */
  #checkRepresented(hasFailed: boolean): void {
    if (hasFailed || this.#abort.signal.aborted) return;
    const metrics = this.controller.getMetrics();
    if (this.#plan.options.strategy === 'sample') {
      // What came after an outage had ended the run, with nothing open, was aborted.
      const { shed, aborted } = metrics.dropsByReason;
      const represented = this.#represented + metrics.unrepresented + shed + aborted;
      assert.equal(
        represented,
        metrics.eventsOffered,
        'represents + unrepresented + shed + aborted = offered',
      );
    } else {
      const flushed = metrics.eventsAccepted - metrics.dropsByReason.evicted;
      assert.equal(this.#represented, flushed, 'each stands for itself');
    }
  }

  /** What the engine told of each item, against what the destination and the producer know. */
  #checkOutcomes(): void {
    const called = new Set(this.destination.calls.flatMap(({ items }) => items.map(({ id }) => id)));
    for (const [id, settlement] of this.#outcomes) {
      const answer = this.#answers.get(id);
      if (settlement.outcome === 'flushed') assert.ok(called.has(id), `item ${id} flushed, but never called`);
      if (settlement.outcome === 'dropped') {
        assert.ok(!called.has(id), `item ${id} dropped, but was called`);
        if (settlement.reason !== 'evicted')
          assert.notEqual(answer, true, `item ${id}: pushed, then ${settlement.reason}`);
        if (settlement.reason === 'overflow')
          assert.equal((answer as BackpressureError).code, 'ERR_BACKPRESSURE_OVERFLOW');
      } else {
        assert.notEqual(answer, false, `item ${id}: refused, but ${settlement.outcome}`);
      }
    }
  }

  /** What did not arrive and was taken by no handler is returned, each once, in order. */
  #checkHandedBack(unsettled: readonly number[]): void {
    assert.equal(new Set(unsettled).size, unsettled.length, 'each returned once');
    for (let n = 1; n < unsettled.length && this.bounds.concurrency === 1 && this.#isOrdered; n++)
      assert.ok(unsettled[n]! > unsettled[n - 1]!, 'returned in order');
    const failed = [...this.#outcomes].filter(([, { outcome }]) => outcome === 'failed').map(([id]) => id);
    const back = new Set(unsettled);
    const expected = failed.filter((id) => !this.#handled.has(id) || back.has(id));
    const missing = expected.filter((id) => !back.has(id));
    assert.deepEqual(missing, [], 'failed, not handled, and not returned');
    for (const id of unsettled)
      assert.notEqual(this.#outcomes.get(id)!.outcome, 'flushed', `item ${id} returned though flushed`);
  }
}

/** What follows from the options, worked out by the design's own words. */
function boundsOf({ options, bytes }: Plan): Bounds {
  const capacity = options.maxBufferSize ?? 10_000;
  const lowWatermark = options.lowWatermark ?? 0.5;
  let concurrency = options.concurrency ?? 1;
  const most = options.adaptive === true ? Infinity : 100;
  const unset = Math.min(most, Math.max(1, Math.floor((capacity * lowWatermark) / (concurrency + 1))));
  let batchSize = options.batchSize ?? unset;
  if (options.strategy === 'drop_oldest') {
    const half = Math.max(1, Math.floor(capacity / 2));
    concurrency = Math.min(concurrency, half);
    batchSize = Math.min(batchSize, Math.floor(half / concurrency));
  }
  return {
    capacity,
    capacityBytes: bytes?.maxBufferBytes ?? Infinity,
    lowWatermark,
    highWatermark: options.highWatermark ?? 0.8,
    maxWaiting: options.maxWaiting ?? capacity,
    concurrency,
    batchSize,
  };
}
