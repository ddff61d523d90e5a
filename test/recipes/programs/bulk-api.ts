/**
 * A bulk API that answers item by item: those that may succeed later are sent again by themselves, the others are dead letters.
 *
 * Packages: `spillway`
 * Run: `API_URL=http://… npx tsx bulk-api.ts`, an address that takes NDJSON by POST, and answers with an `Answer`
 */

import { BackpressureWritable, ItemError, type FlushFunction } from 'spillway';

interface Answer {
  items: { status: number; reason?: string }[];
}

const index: FlushFunction<{ id: number }> = async (documents, { signal }) => {
  const body = documents.map((document) => `${JSON.stringify(document)}\n`).join('');
  const response = await fetch(process.env['API_URL']!, { method: 'POST', body, signal });
  if (!response.ok) throw Object.assign(new Error(`the API answers ${response.status}`), { retryable: true });
  const { items } = (await response.json()) as Answer;
  const errors = items.flatMap(({ status, reason }, i) =>
    status < 300
      ? []
      : [new ItemError(i, { retryable: status === 429 || status >= 500, message: `${status} ${reason}` })],
  );
  return { success: documents.length - errors.length, failed: errors.length, errors };
};

const sink = new BackpressureWritable(index, {
  batchSize: 100,
  retry: { attempts: 10, minDelayMs: 10 },
  onFailed: (failures) => {
    for (const { item, error } of failures) console.error(`document ${item.id}: ${error.message}`);
  },
});
for (let id = 0; id < 500; id++) sink.write({ id });
await new Promise<void>((resolve) => sink.end(resolve));
const { eventsFlushed, eventsFailed } = sink.getMetrics();
console.log(JSON.stringify({ eventsFlushed, eventsFailed }));
