import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlushWaiters, type FlushWaiter } from '../../src/sink/settlement/flush-waiters.js';
import { LoadWaiters } from '../../src/sink/settlement/load-waiters.js';
import { fastCheckRuns } from '../support/test-runs.js';

type Step =
  | { kind: 'arrive' | 'admit' | 'drop' | 'launch' | 'settle'; count: number }
  | { kind: 'flush' | 'flushWithin' | 'takeBack' | 'stop' | 'fail' }
  | { kind: 'withdraw'; which: number }
  | { kind: 'whenBelow'; count: number };

const counted = ['arrive', 'admit', 'drop', 'launch', 'settle'] as const;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constantFrom(...counted), count: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 6, arbitrary: fc.constant<Step>({ kind: 'flush' }) },
  { weight: 4, arbitrary: fc.constant<Step>({ kind: 'flushWithin' }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('whenBelow' as const), count: fc.nat(12) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), which: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'takeBack' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'stop' }) },
);

interface ModelItem {
  state: 'waiting' | 'queued' | 'in flight' | 'settled';
}

/** A caller with the very items that it waits for, or the load. */
interface ModelCaller {
  name: string;
  items: ModelItem[] | undefined;
  below: number;
}

/** The engine as a list of items, and the callers as two lists that are searched as a whole each time. */
class Model {
  readonly waiting: ModelItem[] = [];
  readonly queued: ModelItem[] = [];
  readonly inFlight: ModelItem[] = [];
  callers: ModelCaller[] = [];
  arrived = 0;
  admitted = 0;

  get load(): number {
    return this.queued.length + this.inFlight.length;
  }

  get progress() {
    return {
      arrived: this.arrived,
      decided: this.arrived - this.waiting.length,
      admitted: this.admitted,
      settledBelow: this.admitted - this.load,
    };
  }

  get openItems(): ModelItem[] {
    return [...this.inFlight, ...this.queued, ...this.waiting];
  }

  takeReached(): string[] {
    const isReached = ({ items, below }: ModelCaller) =>
      items === undefined ? this.load < below : items.every(({ state }) => state === 'settled');
    const reached = this.callers.filter(isReached);
    this.callers = this.callers.filter((caller) => !isReached(caller));
    return inOrder(reached).map(({ name }) => name);
  }

  takeStopped(): string[] {
    const isStopped = ({ items }: ModelCaller) =>
      items?.some(({ state }) => state === 'waiting' || state === 'queued') ?? false;
    const stopped = this.callers.filter(isStopped);
    this.callers = this.callers.filter((caller) => !isStopped(caller));
    return stopped.map(({ name }) => `${name} stopped`);
  }
}

/** Flushes in the order of their calls, then those who wait for a load: all that wait for the same one together. */
function inOrder(callers: ModelCaller[]): ModelCaller[] {
  const loads = callers.filter(({ items }) => items === undefined);
  return [
    ...callers.filter(({ items }) => items !== undefined),
    ...new Set(loads.flatMap(({ below }) => loads.filter((other) => other.below === below))),
  ];
}

class Run {
  readonly model = new Model();
  readonly flushes = new FlushWaiters();
  readonly loads = new LoadWaiters();
  readonly handles: { name: string; waiter: FlushWaiter }[] = [];
  readonly seen: string[] = [];
  readonly expected: string[] = [];
  calls = 0;

  do(step: Step): void {
    const { model } = this;
    switch (step.kind) {
      case 'flush':
        return this.flush();
      case 'flushWithin':
        return this.flushWithin();
      case 'whenBelow': {
        const name = `below ${this.calls++}`;
        model.callers.push({ name, items: undefined, below: step.count });
        void this.loads.reached(step.count, model.load).then(...this.answers(name));
        this.expected.push(...model.takeReached());
        return;
      }
      case 'withdraw': {
        if (this.handles.length === 0) return;
        const { name, waiter } = this.handles[step.which % this.handles.length]!;
        this.flushes.withdraw(waiter);
        model.callers = model.callers.filter((caller) => caller.name !== name);
        return;
      }
      case 'stop':
        this.flushes.rejectFrom(model.admitted - model.queued.length, () => new Error('stopped'));
        this.expected.push(...model.takeStopped());
        return;
      case 'fail':
        this.flushes.rejectAll(new Error('failed'));
        this.loads.rejectAll(new Error('failed'));
        this.expected.push(...inOrder(model.callers).map(({ name }) => `${name} failed`));
        model.callers = [];
        return;
      case 'takeBack': {
        // Somebody calls flush() while an item is being offered, and the offer is taken back; the next call finds out.
        this.offer();
        this.flush();
        model.arrived--;
        model.waiting.pop()!.state = 'settled';
        return this.flush();
      }
      case 'arrive':
      case 'admit':
      case 'drop':
      case 'launch':
      case 'settle':
        for (let i = 0; i < step.count; i++) this.move(step.kind);
    }
  }

  flush(): void {
    const name = this.#call('flush');
    void this.flushes.settled(this.model.progress).then(...this.answers(name));
    this.expected.push(...this.model.takeReached());
  }

  /** As somebody calls who may give up. */
  flushWithin(): void {
    const name = this.#call('flush within');
    let waiter!: FlushWaiter;
    const promise = new Promise<void>((resolve, reject) => {
      waiter = this.flushes.addWaiter(this.model.progress, resolve, reject);
    });
    void promise.then(...this.answers(name));
    this.handles.push({ name, waiter });
    this.expected.push(...this.model.takeReached());
  }

  #call(kind: string): string {
    const name = `${kind} ${this.calls++}`;
    this.model.callers.push({ name, items: this.model.openItems, below: 0 });
    return name;
  }

  answers(name: string): [() => void, (error: Error) => void] {
    return [() => this.seen.push(name), (error) => this.seen.push(`${name} ${error.message}`)];
  }

  offer(): void {
    this.model.arrived++;
    this.model.waiting.push({ state: 'waiting' });
  }

  move(kind: (typeof counted)[number]): void {
    const { model } = this;
    const move = (from: ModelItem[], state: ModelItem['state'], to?: ModelItem[]) => {
      const item = from.shift();
      if (item === undefined) return;
      item.state = state;
      to?.push(item);
      if (to === model.queued) model.admitted++;
    };
    if (kind === 'arrive') this.offer();
    else if (kind === 'admit') move(model.waiting, 'queued', model.queued);
    else if (kind === 'drop') move(model.waiting, 'settled');
    else if (kind === 'launch') move(model.queued, 'in flight', model.inFlight);
    else move(model.inFlight, 'settled');
    this.check();
  }

  check(): void {
    this.flushes.check(this.model.progress);
    this.loads.check(this.model.load);
    this.expected.push(...this.model.takeReached());
  }
}

describe('those who wait for flush() and whenBelow()', () => {
  it('are answered when, and in the order in which, a model that searches plain lists answers them', async () => {
    const property = fc.asyncProperty(
      fc.array(step, { maxLength: 80, size: 'max' }),
      fc.boolean(),
      async (steps, fails) => {
        const run = new Run();
        for (const one of [...steps, ...(fails ? [{ kind: 'fail' } as const] : [])]) {
          run.do(one);
          // Their promises have been settled: each tells its callers.
          await Promise.resolve();
          expect(run.seen).toEqual(run.expected);
          const { model } = run;
          const waiting = model.callers.filter(({ items }) => items !== undefined);
          expect(run.flushes.isEmpty).toBe(waiting.length === 0);
          expect(run.loads.isEmpty).toBe(waiting.length === model.callers.length);
          if (model.queued.length > 0)
            expect(run.flushes.covers(model.admitted - model.queued.length)).toBe(
              waiting.some(({ items }) =>
                items!.some(({ state }) => state === 'queued' || state === 'waiting'),
              ),
            );
        }
      },
    );
    await fc.assert(property, fastCheckRuns(500));
  });
});
