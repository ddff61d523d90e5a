/**
 * Follows a file that another process appends to, and loads each of its lines exactly once, also after a crash: the database keeps which
 * lines it has, in the transactions of their rows.
 *
 * Packages: `spillway pg pg-copy-streams`
 * Table: `CREATE TABLE log_lines (number int, text text)`
 * Run: `npx tsx tail-file.ts app.log`, which runs until a signal comes
 */

import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { BackpressureWritable, drainOnSignals } from 'spillway';
import { copyInto } from 'spillway/postgres';

interface Line {
  number: number;
  text: string;
}

/** What is in the file and what comes to it, by whole lines: the last one may still be written. */
async function* follow(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const file = await open(path);
  let rest = Buffer.alloc(0);
  while (!signal.aborted) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64 * 1024));
    rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    const end = rest.lastIndexOf('\n') + 1;
    if (end > 0) yield rest.subarray(0, end);
    rest = rest.subarray(end);
    if (bytesRead === 0) await sleep(200, undefined, { signal }).catch(() => undefined);
  }
  await file.close();
}

const path = process.argv[2]!;
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
// The file is read from its beginning. Lines that an earlier run has loaded are left out: their numbers are the same.
const sink = new BackpressureWritable<Line>(
  copyInto(pool, { table: 'log_lines', importId: path, positionOf: ({ number }: Line) => number }),
  { maxFlushIntervalMs: 500 },
);
const stopping = new AbortController();
drainOnSignals([sink], { timeoutMs: 10_000, beforeDrain: () => stopping.abort() });

let number = 0;
for await (const text of createInterface({ input: Readable.from(follow(path, stopping.signal)) })) {
  number++;
  if (!sink.write({ number, text })) await new Promise((resolve) => sink.once('drain', resolve));
}
