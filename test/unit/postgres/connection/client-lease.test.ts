import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ClientLease } from '../../../../src/postgres/connection/client-lease.js';
import type { CopyClient, CopyPool } from '../../../../src/postgres/protocol/pool.js';
import { turn } from '../../../support/stream.js';

class Client extends EventEmitter {
  releases = 0;

  query() {
    return Promise.resolve({ command: '' });
  }

  release() {
    this.releases += 1;
  }
}

type Callback = (error?: Error, client?: CopyClient) => void;

const client = new Client() as CopyClient & Client;
const refusal = new Error('no connection');

const take = (connect: unknown, { signal } = new AbortController()) =>
  ClientLease.take({ connect } as CopyPool, signal);

const soon = (callback: Callback, ...answer: Parameters<Callback>) =>
  setImmediate(() => {
    callback(...answer);
  });

const POOLS = {
  'that promises': (...answer: Parameters<Callback>) => ({
    connect: () => (answer[0] ? Promise.reject(answer[0]) : Promise.resolve(answer[1])),
  }),
  'that calls back': (...answer: Parameters<Callback>) => ({
    connect: (callback: Callback) => {
      callback(...answer);
    },
  }),
  'that calls back later, and answers with a handle': (...answer: Parameters<Callback>) => ({
    connect: (callback: Callback) => soon(callback, ...answer),
  }),
  'that calls back, in an async function': (...answer: Parameters<Callback>) => ({
    connect: async (callback: Callback) => {
      callback(...answer);
    },
  }),
  'that calls back later, in an async function': (...answer: Parameters<Callback>) => ({
    connect: async (callback: Callback) => {
      soon(callback, ...answer);
    },
  }),
};

/** A rejection that nobody handles fails the run of the tests. */
describe.each(Object.entries(POOLS))('a pool %s', (_name, pool) => {
  it('lends its client, once', async () => {
    const lease = await take(pool(undefined, client).connect);
    expect(lease.client).toBe(client);
    expect(client.listenerCount('error')).toBe(1);
    lease.release();
    await turn();
    expect(client.listenerCount('error')).toBe(0);
  });

  it('refuses', async () => {
    await expect(take(pool(refusal).connect)).rejects.toBe(refusal);
    await turn();
  });

  it('lends something else: that is told', async () => {
    await expect(take(pool(undefined, { release: () => undefined } as never).connect)).rejects.toThrow(
      'is no client of node-postgres',
    );
  });
});

it.each([
  [
    'that calls back later, and answers with a handle',
    POOLS['that calls back later, and answers with a handle'],
  ],
  ['that calls back later, in an async function', POOLS['that calls back later, in an async function']],
])('a client that comes too late goes back to a pool %s', async (_name, pool) => {
  const late = new Client() as CopyClient & Client;
  const controller = new AbortController();
  const taken = take(pool(undefined, late).connect, controller);
  controller.abort();
  await expect(taken).rejects.toThrow('aborted');
  await turn();
  await turn();
  expect(late).toMatchObject({ releases: 1 });
  expect(late.listenerCount('error')).toBe(0);
});
