import { describe, expect, it } from 'vitest';
import { FlushWaiters, type Progress } from '../../../../src/sink/settlement/flush-waiters.js';

const nothing: Progress = { arrived: 0, decided: 0, admitted: 0, settledBelow: 0 };

function waitIn(waiters: FlushWaiters, progress: Progress) {
  const seen: { state: 'open' | 'kept' | Error } = { state: 'open' };
  const waiter = waiters.addWaiter(
    progress,
    () => (seen.state = 'kept'),
    (error) => (seen.state = error),
  );
  return Object.assign(seen, { waiter });
}

describe('a caller of flush()', () => {
  it('is answered at once if nothing is open', () => {
    const waiters = new FlushWaiters();
    const seen = waitIn(waiters, { arrived: 5, decided: 5, admitted: 4, settledBelow: 4 });
    expect(seen.state).toBe('kept');
    expect(waiters.isEmpty).toBe(true);
  });

  it('waits for what arrived before the call, and for nothing that arrived later', () => {
    const waiters = new FlushWaiters();
    const seen = waitIn(waiters, { arrived: 5, decided: 3, admitted: 3, settledBelow: 0 });
    waiters.check({ arrived: 9, decided: 4, admitted: 4, settledBelow: 4 });
    expect(seen.state).toBe('open');
    waiters.check({ arrived: 9, decided: 5, admitted: 5, settledBelow: 4 });
    expect(seen.state).toBe('open');
    waiters.check({ arrived: 9, decided: 9, admitted: 9, settledBelow: 5 });
    expect(seen.state).toBe('kept');
    expect(waiters.isEmpty).toBe(true);
  });

  it('is answered when the last arrival is dropped instead of admitted', () => {
    const waiters = new FlushWaiters();
    const seen = waitIn(waiters, { arrived: 2, decided: 1, admitted: 1, settledBelow: 1 });
    waiters.check({ arrived: 2, decided: 2, admitted: 1, settledBelow: 1 });
    expect(seen.state).toBe('kept');
  });

  it('does not wait for an offer that was taken back after the call', () => {
    const waiters = new FlushWaiters();
    const early = waitIn(waiters, { arrived: 2, decided: 1, admitted: 1, settledBelow: 0 });
    const late = waitIn(waiters, { arrived: 1, decided: 1, admitted: 1, settledBelow: 0 });
    waiters.check({ arrived: 1, decided: 1, admitted: 1, settledBelow: 1 });
    expect([early.state, late.state]).toEqual(['kept', 'kept']);
  });

  it('does not wait for an offer that was taken back, if nobody calls after that', () => {
    const waiters = new FlushWaiters();
    const seen = waitIn(waiters, { arrived: 2, decided: 0, admitted: 0, settledBelow: 0 });
    waiters.check({ arrived: 1, decided: 1, admitted: 1, settledBelow: 1 });
    expect(seen.state).toBe('kept');
    expect(waiters.isEmpty).toBe(true);
  });

  it('shares the promise of those who wait for the same items', async () => {
    const waiters = new FlushWaiters();
    const open = { arrived: 2, decided: 2, admitted: 2, settledBelow: 0 };
    const first = waiters.settled(open);
    expect(waiters.settled({ ...open, settledBelow: 1 })).toBe(first);
    expect(waiters.settled({ arrived: 3, decided: 3, admitted: 3, settledBelow: 1 })).not.toBe(first);
    waiters.check({ arrived: 3, decided: 3, admitted: 3, settledBelow: 2 });
    await expect(first).resolves.toBeUndefined();
    expect(waiters.isEmpty).toBe(false);
  });

  it('is forgotten once it is withdrawn, and calls for no flush', () => {
    const waiters = new FlushWaiters();
    const open = { arrived: 2, decided: 2, admitted: 2, settledBelow: 0 };
    const first = waitIn(waiters, open);
    const second = waitIn(waiters, { ...open, arrived: 3 });
    waiters.withdraw(first.waiter);
    waiters.withdraw(first.waiter);
    waiters.check({ arrived: 3, decided: 3, admitted: 3, settledBelow: 3 });
    expect([first.state, second.state]).toEqual(['open', 'kept']);
    const last = waitIn(waiters, open);
    expect(waiters.covers(0)).toBe(true);
    waiters.withdraw(last.waiter);
    expect(waiters.covers(0)).toBe(false);
    expect(waiters.isEmpty).toBe(true);
  });

  it('calls for a flush of the items it waits for, and of no others', () => {
    const waiters = new FlushWaiters();
    waitIn(waiters, { arrived: 5, decided: 5, admitted: 5, settledBelow: 0 });
    expect(waiters.covers(4)).toBe(true);
    expect(waiters.covers(5)).toBe(false);
  });

  it('is rejected if it needs a further flush and none will come; the others stay', () => {
    const waiters = new FlushWaiters();
    const inFlight = waitIn(waiters, { arrived: 2, decided: 2, admitted: 2, settledBelow: 0 });
    const queued = waitIn(waiters, { arrived: 3, decided: 3, admitted: 3, settledBelow: 0 });
    waiters.rejectFrom(2, () => new Error('stopped'));
    expect(inFlight.state).toBe('open');
    expect(queued.state).toEqual(new Error('stopped'));
  });

  it('costs no error when all is delivered and nobody waits', () => {
    let errors = 0;
    new FlushWaiters().rejectFrom(0, () => {
      errors++;
      return new Error('stopped');
    });
    expect(errors).toBe(0);
  });

  it('is rejected with all others by a failure', () => {
    const waiters = new FlushWaiters();
    const all = [1, 2].map((arrived) => waitIn(waiters, { ...nothing, arrived }));
    waiters.rejectAll(new Error('over'));
    expect(all.map(({ state }) => state)).toEqual([new Error('over'), new Error('over')]);
    expect(waiters.isEmpty).toBe(true);
  });
});
