import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { FIND_HOLDERS, LockWatch, lockText, type LockHolder } from '../../../../src/cli/server/lock-watch.js';
import { searchPathFaults } from '../../../support/search-path-faults.js';

const HOLDER: LockHolder = {
  pid: 4711,
  application: 'psql',
  backend: 'client backend',
  state: 'idle in transaction',
  ms: 95_000,
};

describe('the holder of a lock', () => {
  it.each<[string, LockHolder[], string | undefined]>([
    ['nobody', [], undefined],
    [
      'a session',
      [HOLDER],
      'a lock held by process 4711 (application "psql", idle in transaction for 1 min 35 s)',
    ],
    [
      'a session without an application, and a clock that was set back',
      [{ ...HOLDER, application: '', state: 'active', ms: -5 }],
      'a lock held by process 4711 (active for 0 s)',
    ],
    [
      'a session of another role, whose state is not shown',
      [{ ...HOLDER, state: null, ms: null }],
      'a lock held by process 4711 (application "psql")',
    ],
    [
      'a session that has ended meanwhile',
      [{ pid: 4711, application: null, backend: null, state: null, ms: null }],
      'a lock held by process 4711',
    ],
    [
      'autovacuum',
      [{ ...HOLDER, application: '', backend: 'autovacuum worker', state: 'active', ms: 3_000 }],
      'a lock held by process 4711 (autovacuum worker, active for 3 s)',
    ],
    [
      'a prepared transaction',
      [{ pid: 0, application: null, backend: null, state: null, ms: null }],
      'a lock held by a prepared transaction',
    ],
    [
      'several, one of which holds up two connections',
      [HOLDER, HOLDER, { ...HOLDER, pid: 12 }, { ...HOLDER, pid: 13 }],
      'a lock held by process 4711 (application "psql", idle in transaction for 1 min 35 s), and by 2 more processes',
    ],
  ])('is %s', (_, holders, expected) => {
    expect(lockText(holders)).toBe(expected);
  });
});

describe('the watch of locks', () => {
  const start = (totalCount: number, waitingCount = 0) => {
    let asked = 0;
    const pool = Object.assign(new EventEmitter(), {
      ...{ options: { max: 4 }, totalCount, idleCount: 0, waitingCount },
      // It never lends a client.
      connect: () => (asked += 1) && new Promise(() => undefined),
    });
    const watch = new LockWatch(pool as unknown as ConstructorParameters<typeof LockWatch>[0]);
    return { watch, asked: () => asked };
  };

  it('asks nothing of a server that answers, and one question at a time of one that does not', () => {
    const { watch, asked } = start(3);
    watch.look(0);
    watch.look(1_900);
    expect(asked()).toBe(0);
    watch.look(2_100);
    watch.look(60_000);
    expect(asked()).toBe(1);
  });

  it.each([
    ['is out', 4, 0],
    ['is wanted by others', 3, 1],
  ])('asks nothing if each connection %s', (_, total, waiting) => {
    const { watch, asked } = start(total, waiting);
    expect(watch.look(60_000)).toBeUndefined();
    expect(asked()).toBe(0);
  });
});

it('the question for holders depends on no search path, and asks for no text of a query', () => {
  expect(searchPathFaults(FIND_HOLDERS)).toEqual([]);
  expect(FIND_HOLDERS).not.toMatch(/query/);
});
