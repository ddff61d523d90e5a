/**
 * Batches to an API that limits its callers: its `Retry-After` is kept, and at most two requests are under way.
 *
 * Packages: `spillway`
 * Run: `API_URL=http://… npx tsx rate-limited-api.ts`, an address that takes JSON arrays by POST, and answers 2xx or 429
 */

import { BackpressureWritable, type FlushFunction } from 'spillway';

const send: FlushFunction<number> = async (items, { signal }) => {
  const response = await fetch(process.env['API_URL']!, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': `numbers-${items[0]}-${items.length}` },
    body: JSON.stringify(items),
    signal,
  });
  await response.arrayBuffer(); // frees the connection
  if (response.ok) return;
  const seconds = Number(response.headers.get('retry-after'));
  throw Object.assign(new Error(`the API answers ${response.status}`), {
    retryable: response.status === 429 || response.status >= 500,
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : undefined,
  });
};

const sink = new BackpressureWritable<number>(send, {
  batchSize: 50,
  concurrency: 2,
  adaptive: false,
  flushTimeoutMs: 5_000,
  retry: { attempts: 20, maxElapsedMs: 60_000 },
  onFailed: (failures) => console.error(`${failures.length} lost: ${failures[0]!.error.message}`),
});
for (let i = 0; i < 1_000; i++)
  if (!sink.write(i)) await new Promise((resolve) => sink.once('drain', resolve));
await new Promise<void>((resolve) => sink.end(resolve));
const { eventsFlushed, retries } = sink.getMetrics();
console.log(JSON.stringify({ eventsFlushed, retried: retries > 0 }));
