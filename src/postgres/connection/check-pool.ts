/** Checks that an argument is a pool that can be used, and that what it lends is a client. */

import { refuse, wrongOption } from '../../guards/validate.js';
import { CopyError } from '../errors/copy-error.js';
import type { CopyPool } from '../protocol/pool.js';

interface PoolLike {
  readonly Client?: unknown;
  readonly ending?: unknown;
  readonly ended?: unknown;
}

const NATIVE =
  'is one of `pg.native` (or NODE_PG_FORCE_NATIVE is set), which has no COPY from a stream; give a pool of `new pg.Pool(…)`';

/** @throws {InvalidOptionError} */
export function checkPool(pool: CopyPool): void {
  if (typeof pool !== 'object' || (pool as unknown) === null || typeof pool.connect !== 'function') {
    refuse('pool', 'a pool, as `new pg.Pool(…)` makes one', pool);
  }
  if ('connectionParameters' in pool) {
    wrongOption(
      'pool',
      'must be a pool, as `new pg.Pool(…)` makes one; got a single client, which cannot be shared between batches',
    );
  }
  const { Client, ending, ended } = pool as PoolLike;
  if (ending === true || ended === true) {
    wrongOption('pool', 'is a pool that has been ended: make a new one');
  }
  if (makesNativeClients(Client)) wrongOption('pool', NATIVE);
}

/** @throws {CopyError} `setup` */
export function checkClient(client: unknown): void {
  const { query, on, removeListener, release, native, connection } = (client ?? {}) as Record<
    string,
    unknown
  >;
  const isNative = typeof native === 'object' && native !== null && connection === undefined;
  if (isNative) {
    giveBack(release, client);
    throw new CopyError(`the pool ${NATIVE}`, { failureClass: 'setup' });
  }
  const missing = Object.entries({ query, on, removeListener, release }).find(
    ([, method]) => typeof method !== 'function',
  );
  if (missing === undefined) return;
  giveBack(release, client);
  const what = client === null || client === undefined ? String(client) : `something without ${missing[0]}()`;
  throw new CopyError(`the pool's connect() has returned ${what}, which is no client of node-postgres`, {
    failureClass: 'setup',
  });
}

function giveBack(release: unknown, client: unknown): void {
  if (typeof release === 'function') release.call(client);
}

/** Decides by the class's shape: a look at `pg.native` would load libpq. Only the client in JavaScript starts a session by itself. */
function makesNativeClients(Client: unknown): boolean {
  if (typeof Client !== 'function') return false;
  const prototype = (Client as { prototype?: object }).prototype ?? {};
  return '_hasActiveQuery' in prototype && !('getStartupConf' in prototype);
}
