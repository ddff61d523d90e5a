/** The circuit breaker's probe: tests whether the server can be reached. */

import { messageOf, toError } from '../../common/thrown.js';
import type { BreakerProbe } from '../../api/options.js';
import { ClientLease } from './client-lease.js';
import { CopyError } from '../errors/copy-error.js';
import { unlessAborted } from './answer-deadline.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { classify, isSqlState } from '../errors/sqlstate.js';
import { runStatement, statement } from '../sql/statement.js';

const PROBE = statement('SELECT 1');

/** What a `pg.Pool` makes its clients with. */
interface ClientFactory {
  readonly Client?: new (options: unknown) => FreshClient;
  readonly options?: unknown;
}

interface FreshClient extends CopyClient {
  connect(): Promise<unknown>;
  end(): Promise<unknown>;
  readonly connection?: { readonly stream?: { destroy?: () => unknown } };
}

/** Probes by a new connection, because an idle one may be dead. If the pool does not show how to make one, it uses one of the pool. */
export function freshProbe(pool: CopyPool): BreakerProbe {
  const { Client } = pool as ClientFactory;
  if (Client === undefined) return poolProbe(pool);
  return async ({ signal }) => {
    const client = new Client((pool as ClientFactory).options);
    const ignore = () => undefined;
    client.on('error', ignore);
    // Instead of the pool's own: the connection is closed in any case.
    const release: CopyClient['release'] = (error) => {
      client.end().catch(ignore);
      if (error !== undefined) client.connection?.stream?.destroy?.();
    };
    client.release = release;
    const connect = () =>
      client.connect().then(
        () => client,
        (error: unknown) => {
          client.release(true);
          throw error;
        },
      );
    // A silent server would keep the connection until the operating system gives it up.
    const onAbort = () => client.connection?.stream?.destroy?.();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await probe({ connect }, signal);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  };
}

/** Probes by a connection of the pool, which may look for another server. */
export function poolProbe(pool: CopyPool): BreakerProbe {
  return ({ signal }) => probe(pool, signal);
}

/** @throws an error whose `retryable` is `false` if the server has responded with a refusal */
async function probe(pool: CopyPool, signal: AbortSignal): Promise<void> {
  let lease: ClientLease<CopyClient> | undefined;
  try {
    lease = await ClientLease.take(pool, signal);
    await unlessAborted(signal, runStatement(lease.client, PROBE));
    lease.release();
  } catch (thrown) {
    const error: Error & { code?: unknown } = toError(thrown);
    lease?.discard(error);
    const isDown = signal.aborted || classify(error) === 'transport';
    throw new CopyError(`the server does not answer: ${messageOf(error)}`, {
      failureClass: isDown ? 'transport' : 'setup',
      ...(isSqlState(error.code) && { sqlState: error.code }),
      cause: error,
    });
  }
}
