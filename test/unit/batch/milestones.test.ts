import { describe, expect, it } from 'vitest';
import { Milestones, type Progress } from '../../../src/batch/milestones.js';
import { settle } from '../../support/manual-clock.js';

const nothing: Progress = { lined: 0, decided: 0, admitted: 0, settledBelow: 0, load: 0 };

function watch(promise: Promise<void>) {
  const seen: { state: 'open' | 'kept' | Error } = { state: 'open' };
  promise.then(
    () => (seen.state = 'kept'),
    (error: unknown) => (seen.state = error as Error),
  );
  return seen;
}

describe('a milestone', () => {
  it('of settlement is reached at once where nothing is open', async () => {
    const seen = watch(
      new Milestones().settled({ ...nothing, lined: 5, decided: 5, admitted: 4, settledBelow: 4 }),
    );
    await settle();
    expect(seen.state).toBe('kept');
  });

  it('of settlement waits for what was offered before it, and for nothing offered later', async () => {
    const milestones = new Milestones();
    const seen = watch(milestones.settled({ lined: 5, decided: 3, admitted: 3, settledBelow: 0, load: 3 }));
    const steps: [Progress, 'open' | 'kept'][] = [
      [{ lined: 9, decided: 4, admitted: 4, settledBelow: 4, load: 0 }, 'open'],
      [{ lined: 9, decided: 5, admitted: 5, settledBelow: 4, load: 1 }, 'open'],
      [{ lined: 9, decided: 9, admitted: 9, settledBelow: 5, load: 4 }, 'kept'],
    ];
    for (const [progress, state] of steps) {
      milestones.check(progress);
      await settle();
      expect(seen.state).toBe(state);
    }
    expect(milestones.isEmpty).toBe(true);
  });

  it('of settlement is not moved by an offer that was decided without being admitted', async () => {
    const milestones = new Milestones();
    const seen = watch(milestones.settled({ lined: 2, decided: 1, admitted: 1, settledBelow: 1, load: 0 }));
    milestones.check({ lined: 2, decided: 2, admitted: 1, settledBelow: 1, load: 0 });
    await settle();
    expect(seen.state).toBe('kept');
  });

  it('that is withdrawn is forgotten, and calls for no flush', async () => {
    const milestones = new Milestones();
    const open = { lined: 2, decided: 2, admitted: 2, settledBelow: 0, load: 2 };
    const promise = milestones.settled(open);
    const other = watch(milestones.settled({ ...open, lined: 3 }));
    milestones.withdraw(promise);
    milestones.check({ lined: 3, decided: 3, admitted: 3, settledBelow: 3, load: 0 });
    await settle();
    expect(other.state).toBe('kept');
    const last = milestones.settled(open);
    expect(milestones.covers(0)).toBe(true);
    milestones.withdraw(last);
    expect(milestones.covers(0)).toBe(false);
    expect(milestones.isEmpty).toBe(true);
  });

  it.each([
    [3, 'open'],
    [2, 'kept'],
  ])('of load below 3 at a load of %i is %s', async (load, state) => {
    const milestones = new Milestones();
    const seen = watch(milestones.below(3, { ...nothing, load: 9 }));
    milestones.check({ ...nothing, load });
    await settle();
    expect(seen.state).toBe(state);
  });

  it('of settlement calls for a flush of the items it waits for, and only of those', () => {
    const milestones = new Milestones();
    void milestones.settled({ lined: 5, decided: 5, admitted: 5, settledBelow: 0, load: 5 });
    expect(milestones.covers(4)).toBe(true);
    expect(milestones.covers(5)).toBe(false);
  });

  it('of load calls for none', () => {
    const milestones = new Milestones();
    void milestones.below(1, { ...nothing, load: 5 });
    expect(milestones.covers(0)).toBe(false);
  });

  it('that needs a further flush is rejected when none will come; the others stay', async () => {
    const milestones = new Milestones();
    const inFlight = watch(
      milestones.settled({ lined: 2, decided: 2, admitted: 2, settledBelow: 0, load: 2 }),
    );
    const queued = watch(milestones.settled({ lined: 3, decided: 3, admitted: 3, settledBelow: 0, load: 3 }));
    const below = watch(milestones.below(1, { ...nothing, load: 3 }));
    milestones.rejectFlushes(2, new Error('stopped'));
    await settle();
    expect([inFlight.state, below.state]).toEqual(['open', 'open']);
    expect(queued.state).toBeInstanceOf(Error);
  });

  it('is rejected with all others by a failure', async () => {
    const milestones = new Milestones();
    const all = [
      watch(milestones.settled({ ...nothing, lined: 1, load: 1 })),
      watch(milestones.below(1, { ...nothing, load: 1 })),
    ];
    milestones.rejectAll(new Error('over'));
    await settle();
    expect(all.map(({ state }) => state)).toEqual([new Error('over'), new Error('over')]);
    expect(milestones.isEmpty).toBe(true);
  });
});
