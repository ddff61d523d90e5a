/**
 * Run as a process of its own, with a small heap: batches through a proxy that breaks the protocol, in a user's pool. Prints what went wrong,
 * as JSON. Arguments: the server's URL, the table, how many random cases, their seed, and `silences` for
 * silence at each place besides.
 */

import fc from 'fast-check';
import pg from 'pg';
import { copyInto, CopyError } from '../../../src/postgres/index.js';
import { startMeddlingProxy, type Meddling } from '../../support/meddling-proxy.js';
import type { FlushContext } from '../../../src/api/flush-function.js';
import { int32, MESSAGES } from '../../support/server-bytes.js';

const [url, table, runs, seed, share] = process.argv.slice(2) as [string, string, string, string, string];
const TYPES = ['E', 'D', 'C', 'T', 'N', 'S', 'A', 'Z', 'G', 'R', '1', '2', '3'];
const ABORT_MS = 1_500;
const flushContext = (signal: AbortSignal): FlushContext =>
  ({ attempt: 1, signal, takesFailures: false }) as FlushContext;
const failures: string[] = [];
let label = '';
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error) =>
    failures.push(`${label}: ${event}: ${String((error as Error).stack ?? error)}`),
  );
}
process.on('warning', (warning) => failures.push(`${label}: warning: ${String(warning)}`));

const proxy = await startMeddlingProxy(url);
const through = new URL(url);
through.hostname = '127.0.0.1';
through.port = String(proxy.port);

async function run(name: string, meddling: Meddling | undefined): Promise<void> {
  label = name;
  const pool = new pg.Pool({ connectionString: through.href, max: 1, connectionTimeoutMillis: 5_000 });
  pool.on('error', () => undefined);
  proxy.next = [meddling];
  const started = performance.now();
  const outcome = await copyInto(pool, { table, importId: 'hostile', positionOf: () => (position += 1) })(
    [{ id: 1, note: 'a' }],
    flushContext(AbortSignal.timeout(ABORT_MS)),
  ).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome !== undefined && !(outcome instanceof CopyError))
    failures.push(`${name}: ${String((outcome as Error).stack)}`);
  if (performance.now() - started > ABORT_MS + 5_000)
    failures.push(`${name}: took ${performance.now() - started} ms`);
  if (pool.idleCount !== pool.totalCount || pool.waitingCount > 0) failures.push(`${name}: a client is out`);
  await pool.end();
}
let position = 0;

await run('calm', undefined);
const { atLogin, inAll } = proxy.counts;
const places: number[] = Array.from({ length: inAll - atLogin }, (_, index) => atLogin + index);
const names = Object.keys(MESSAGES) as (keyof typeof MESSAGES)[];
const bytes = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(...names).map((name) => ({ name, bytes: MESSAGES[name] })),
  },
  fc
    .uint8Array({ minLength: 1, maxLength: 60 })
    .map((random) => ({ name: 'random bytes', bytes: Buffer.from(random) })),
  fc.tuple(fc.constantFrom(...TYPES), fc.constantFrom(0, 3, 0x3fffffff, -1)).map(([type, length]) => ({
    name: `${type} of ${length}`,
    bytes: Buffer.concat([Buffer.from(type), int32(length)]),
  })),
  fc.array(fc.constantFrom(...names), { minLength: 2, maxLength: 6 }).map((several) => ({
    name: several.join('+'),
    bytes: Buffer.concat(several.map((one) => MESSAGES[one])),
  })),
);
const cases = fc.tuple(
  fc.constantFrom(...places),
  fc.constantFrom('insert' as const, 'replace' as const),
  bytes,
);
for (const [at, how, { name, bytes: given }] of fc.sample(cases, {
  numRuns: Number(runs),
  seed: Number(seed),
})) {
  await run(`${how} ${name} at ${at}`, { at, how, bytes: given });
}
if (share === 'silences') {
  const silent = places.filter((_, index) => Number(runs) >= 1_000 || index % 6 === 0);
  for (const at of silent) await run(`silence at ${at}`, { at, how: 'silence' });
  for (const at of places.slice(0, 1)) await run(`trickle at ${at}`, { at, how: 'trickle' });
}
await proxy.close();
process.stdout.write(JSON.stringify({ places: places.length, failures }));
