import { turnBudget } from '../../src/common/turn-budget.js';
import type { FailedItem, SinkMetrics, WritableOptions } from '../../src/index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { Actions } from './actions.js';
import { boundsOf } from './bounds.js';
import { BreakerWatch } from './breaker-watch.js';
import { SimulatedDestination } from './destination.js';
import { createDestination } from './destinations.js';
import { Instants } from './instants.js';
import { ItemBook } from './item-book.js';
import { createItem, positionOf, type Item } from './item.js';
import { Journal, show } from './journal.js';
import { checkEnd, checkGoodEnd, checkTotals, isExpected } from './ends.js';
import type { Plan } from './plan.js';
import { createProducer, type Producer } from './producers.js';
import { ControllerSurface, WritableSurface, type Surface } from './surface.js';

/** What a run that kept every promise has come to. */
export interface RunResult {
  plan: Plan;
  digest: string;
  events: number;
  virtualMs: number;
  metrics: SinkMetrics;
  end: string;
}

const MOST_EVENTS = 300_000;

/** One run: a producer, an engine, a destination, and everything that must hold between them. */
export class Simulation {
  readonly #plan: Plan;
  readonly #random: SeededRandom;
  readonly #clock: SimulatedClock;
  readonly #journal: Journal;
  readonly #book: ItemBook;
  readonly #breaker: BreakerWatch;
  readonly #destination: SimulatedDestination<Item>;
  readonly #surface: Surface;
  readonly #instants: Instants;
  readonly #producer: Producer;
  readonly #abort = new AbortController();
  readonly #actions: Actions;
  #drops = 0;
  #isProducing = true;
  #wasAborted = false;
  #endedAt = Infinity;

  constructor(plan: Plan, print?: (line: string) => void) {
    this.#plan = plan;
    const random = new SeededRandom(plan.seed ^ 0x5bd1e995);
    this.#random = random;
    const { earlyMs, lateMs } = plan.jitter;
    const jitter = random.fork();
    this.#clock = new SimulatedClock(lateMs === 0 ? undefined : () => jitter.between(-earlyMs, lateMs));
    const now = () => this.#clock.now();
    this.#journal = new Journal(now, print);
    const { options } = plan;
    const bounds = boundsOf(options);
    this.#book = new ItemBook(this.#journal, {
      concurrency: bounds.concurrency,
      abortGraceMs: options.abortGraceMs ?? 1_000,
      attempts: options.retry?.attempts ?? 1,
      maxElapsedMs: options.retry?.maxElapsedMs ?? 300_000,
      hasBreaker: !!options.breaker,
      afterTimeout: options.retry?.afterTimeout ?? false,
      earlyMs: earlyMs + 1e-6,
    });
    this.#breaker = new BreakerWatch(options.breaker, this.#journal, earlyMs + 1e-6, lateMs + 1.000_001);
    const model = createDestination(plan.destination, plan.capacityPerSecond, random.fork());
    this.#destination = new SimulatedDestination<Item>(
      this.#clock,
      model,
      random.fork(),
      this.#observeDestination(),
      (item) => item.size,
    );
    this.#producer = createProducer(plan.producer, plan.itemsPerSecond, random.fork());
    this.#surface = this.#open();
    this.#instants = new Instants(
      { surface: this.#surface, book: this.#book, breaker: this.#breaker, journal: this.#journal },
      {
        bounds,
        targetLatencyMs: options.targetLatencyMs ?? 500,
        lateMs: lateMs + 1.000_001,
        itemsPerPosition: plan.positions,
        countsAreExact: () => !this.#book.sawUnnamed,
      },
      this.#clock.now(),
    );
    this.#actions = new Actions(
      { surface: this.#surface, book: this.#book, instants: this.#instants, journal: this.#journal },
      this.#clock,
      this.#random.fork(),
      plan.actionEveryMs,
      () => this.#mayOffer,
    );
  }

  // ── set-up ──

  #observeDestination() {
    const book = this.#book;
    const journal = this.#journal;
    type Call = Parameters<ItemBook['onCall']>[0];
    return {
      onCall: (call: Call) =>
        journal.guard(() => {
          journal.check(!this.#isOver, () => 'a call after destroy() or an abort');
          this.#breaker.onCall(call);
          book.onCall(call);
          this.#instants.within('a call');
        }),
      onKept: (item: Item, call: Call) => journal.guard(() => book.onKept(item, call)),
      onAnswer: (call: Call, answer: string) =>
        journal.guard(() => {
          this.#breaker.onAnswer(call, this.#clock.now());
          book.onAnswer(call, answer);
        }),
    };
  }

  #open(): Surface {
    const plan = this.#plan;
    const random = this.#random.fork();
    const options: WritableOptions<Item> = {
      ...plan.options,
      clock: this.#clock,
      random: random.next,
      signal: this.#abort.signal,
      ...(plan.bytes.measured && { sizeOf: (item: Item) => item.size }),
      ...(plan.sheds && { shed: (item: Item, state: string) => item.isLow && state !== 'normal' }),
      ...(plan.onFailed !== 'none' && {
        onFailed: (failures: FailedItem<Item>[]) => this.#onFailed(failures),
      }),
      ...(plan.positions > 0 && { positionOf: ({ id }: Item) => positionOf(id, plan.positions) }),
      onSettled: (settlements) => {
        this.#book.onSettled(settlements);
        this.#instants.within('onSettled');
      },
    };
    const observer = {
      onAnswer: (item: Item, admitted: boolean) => this.#book.answer(item, admitted),
      onEnd: () => this.#onEnd(),
      violated: (message: string) => this.#journal.violated(message),
    };
    const Kind = plan.surface === 'writable' ? WritableSurface : ControllerSurface;
    const surface: Surface = new Kind(this.#destination.flush, options, observer);
    this.#listen(surface);
    return surface;
  }

  #listen({ emitter }: Surface): void {
    // Both emit the same events; a union of their overloads is more than the compiler can call.
    (emitter as ControllerSurface['emitter'])
      .on('state', (state, previous) => this.#instants.onState(state, previous))
      .on('drop', (item, reason) => {
        this.#book.onDrop(item, reason);
        if (this.#drops++ % 16 === 0) this.#instants.within('drop event');
      })
      .on('flush', (report) => {
        this.#breaker.onReport(report, this.#clock.now());
        this.#instants.onReport(report, this.#clock.now());
        this.#instants.within('flush event');
      })
      .on('retry', ({ attempt, delayMs }) => {
        this.#journal.note('retry', attempt, () => `after attempt ${attempt}, in ${delayMs.toFixed(1)} ms`);
        this.#instants.within('retry event');
      })
      .on('breaker', (state, previous) => {
        this.#breaker.onState(state, previous, this.#clock.now());
        this.#instants.within('breaker event');
      })
      .on('failed', (failures) => {
        this.#book.failedEvents += failures.length;
        this.#instants.within('failed event');
      });
  }

  #onFailed(failures: FailedItem<Item>[]): Promise<void> | undefined {
    this.#journal.note('onFailed', failures.length);
    this.#book.onFailed(failures);
    this.#instants.within('onFailed');
    const { onFailed } = this.#plan;
    const fails = onFailed === 'throws' && this.#random.chance(0.2);
    if (onFailed !== 'slow' && this.#random.chance(0.7)) {
      this.#instants.isFailing ||= fails;
      if (fails) throw new Error('onFailed threw');
      return undefined;
    }
    const afterMs = onFailed === 'slow' ? this.#random.exponential(300) : 0;
    return new Promise((resolve, reject) => {
      this.#clock.after(afterMs, () => {
        this.#instants.isFailing ||= fails;
        if (fails) reject(new Error('onFailed rejected'));
        else resolve();
      });
    });
  }

  // ── the run ──

  /** @throws Violation when a promise is broken. */
  async run(): Promise<RunResult> {
    const stray = (reason: unknown) => this.#journal.violated(`a stray rejection: ${String(reason)}`);
    const uncaught = (error: unknown) => this.#journal.violated(`an uncaught exception: ${String(error)}`);
    process.on('unhandledRejection', stray).on('uncaughtException', uncaught);
    try {
      const plan = this.#plan;
      this.#clock.after(plan.durationMs, () => this.#close());
      void this.#produce();
      this.#actions.scheduleNext();
      await this.#turnUntilTheEnd();
    } finally {
      process.off('unhandledRejection', stray).off('uncaughtException', uncaught);
    }
    return this.#result();
  }

  /** One event a turn: in between, every promise and tick runs to its end. */
  #turnUntilTheEnd(): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        // On a busy machine much work goes on in further turns: nothing is at rest before its end.
        if (turnBudget.isAwaited) {
          setImmediate(turn);
          return;
        }
        try {
          this.#instants.atRest(this.#clock.now());
          this.#throwIfViolated();
          const { nextAt } = this.#clock;
          if (this.#endedAt < Infinity && nextAt === Infinity) {
            resolve();
            return;
          }
          if (this.#surface.end === undefined) this.#instants.beforeStep(nextAt);
          if (nextAt === Infinity) this.#journal.violated(`it never ends: ${this.#tellState()}`);
          if (++this.#journal.events > MOST_EVENTS) this.#journal.violated('no end of events');
          this.#throwIfViolated();
          this.#clock.step();
        } catch (thrown) {
          reject(thrown);
          return;
        }
        setImmediate(turn);
      };
      setImmediate(turn);
    });
  }

  #throwIfViolated(): void {
    if (this.#journal.violation !== undefined) throw this.#journal.violation;
  }

  #tellState(): string {
    return `${show(this.#surface.getMetrics())}; open promises: ${this.#actions.openPromises}`;
  }

  async #produce(): Promise<void> {
    while (this.#isProducing) {
      const { afterMs, count } = this.#producer.beat(this.#clock.now());
      await new Promise<void>((resolve) => this.#clock.after(afterMs, resolve));
      if (count > 0) this.#journal.note('offer', count);
      for (let n = 0; n < count && this.#mayOffer; n++) {
        const answer = this.#offer();
        if (answer !== true && this.#producer.isHeedful) await answer;
      }
    }
  }

  /** Destroyed, or aborted: no further call may begin. */
  get #isOver(): boolean {
    const { emitter } = this.#surface;
    return this.#abort.signal.aborted || ('destroyed' in emitter && emitter.destroyed);
  }

  get #mayOffer(): boolean {
    return this.#isProducing && !this.#surface.isClosing && !this.#isOver;
  }

  #offer(): true | Promise<unknown> {
    const { bytes, options } = this.#plan;
    const isChunk = options.objectMode === false;
    const size = this.#random.int(0, Math.min(bytes.most, isChunk ? 4_096 : Infinity));
    const item = createItem(this.#book.offered, size, this.#random.chance(0.3), isChunk);
    this.#book.offer(item);
    return this.#surface.offer(item, this.#producer.isHeedful);
  }

  // ── the end ──

  #close(): void {
    this.#isProducing = false;
    const { ending } = this.#plan;
    this.#journal.note('close', ending.length, () => ending);
    if (this.#surface.end !== undefined) return;
    this.#wasAborted = ending === 'abort' || ending === 'signal';
    if (!this.#wasAborted) return this.#surface.close(ending === 'end' ? 'end' : 'dispose');
    if (ending === 'signal' || this.#surface instanceof ControllerSurface) this.#abort.abort();
    if (this.#surface instanceof ControllerSurface) this.#surface.close('end');
    else if (ending === 'abort') this.#surface.close('abort');
  }

  #onEnd(): void {
    this.#endedAt = this.#clock.now();
    this.#isProducing = false;
    this.#book.isClosed = true;
    const unsettled = this.#surface.takeUnsettled();
    this.#book.handedBack(unsettled);
    const end = this.#surface.end ?? null;
    this.#journal.note('end', 0, () => (end ? `${end.name}: ${end.message}` : 'well'));
    const isOutage = this.#breaker.isOutage(this.#endedAt);
    this.#journal.check(
      isExpected(end, this.#plan, this.#wasAborted, isOutage),
      () => `an end without a cause: ${String(end)}`,
    );
    checkEnd(this.#journal, end, this.#surface.getMetrics(), unsettled);
    this.#journal.check(this.#clock.pending === 0, () => `${this.#clock.pending} timers are left at the end`);
  }

  #result(): RunResult {
    const metrics = this.#surface.getMetrics();
    const { end } = this.#surface;
    const open = this.#actions.openPromises;
    this.#journal.check(this.#clock.pending === 0, () => `${this.#clock.pending} timers are left`);
    this.#journal.check(open === '', () => `never settled: ${open}`);
    checkTotals(this.#journal, metrics, this.#book);
    if (end === null) checkGoodEnd(this.#journal, this.#plan, metrics, this.#book);
    this.#throwIfViolated();
    return {
      plan: this.#plan,
      digest: this.#journal.digest,
      events: this.#journal.events,
      virtualMs: this.#endedAt,
      metrics,
      end: end == null ? 'well' : ((end as { code?: string }).code ?? end.name),
    };
  }
}
