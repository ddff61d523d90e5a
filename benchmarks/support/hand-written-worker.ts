/**
 * The worker that one would write by hand: at least once. A pull consumer with explicit acknowledgement, messages by a callback, batches of
 * 5 000, two connections by pg-copy-streams, and an acknowledgement of each message after its batch is committed.
 */

import { jetstream, type JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

const BATCH = 5_000;
const CONNECTIONS = 2;
/** A batch that is not full goes after so long. */
const FLUSH_MS = 500;

export interface HandWritten {
  readonly stream: string;
  /** A durable consumer that all workers share. */
  readonly consumer: string;
  readonly table: string;
  readonly columns: readonly string[];
}

type Row = Record<string, string | number>;

/** @returns what ends it */
export async function handWrittenWorker(
  nats: NatsConnection,
  pool: pg.Pool,
  { stream, consumer, table, columns }: HandWritten,
  onCommitted: (rows: number) => void,
): Promise<() => Promise<void>> {
  const copy = `COPY ${table} (${columns.join()}) FROM STDIN`;
  const lineOf = (message: JsMsg): string => {
    const row = message.json<Row>();
    return `${columns.map((column) => fieldOf(row[column]!)).join('\t')}\n`;
  };
  const full: JsMsg[][] = [];
  let batch: JsMsg[] = [];
  let free = CONNECTIONS;
  let isEnded = false;
  const flushes = new Set<Promise<void>>();

  const insert = async (messages: readonly JsMsg[]): Promise<void> => {
    const client = await pool.connect();
    try {
      await new Promise<void>((resolve, reject) => {
        const sink = client.query(copyFrom(copy));
        sink.once('error', reject).once('finish', resolve);
        sink.end(messages.map(lineOf).join(''));
      });
    } finally {
      client.release();
    }
    for (const message of messages) message.ack();
    onCommitted(messages.length);
  };
  const start = (): void => {
    while (free > 0 && full.length > 0) {
      free -= 1;
      const flush = insert(full.shift()!).finally(() => {
        free += 1;
        flushes.delete(flush);
        start();
      });
      flushes.add(flush);
    }
  };
  const flush = (): void => {
    if (batch.length === 0) return;
    full.push(batch);
    batch = [];
    start();
  };
  const found = await jetstream(nats).consumers.get(stream, consumer);
  const messages = await found.consume({
    // Two batches on the way, beside those that are being inserted.
    max_messages: 2 * BATCH,
    callback: (message) => {
      if (isEnded) return;
      batch.push(message);
      if (batch.length === BATCH) flush();
    },
  });
  const timer = setInterval(flush, FLUSH_MS);
  return async () => {
    isEnded = true;
    clearInterval(timer);
    messages.stop();
    flush();
    while (flushes.size > 0) await Promise.all(flushes);
  };
}

function fieldOf(value: string | number): string {
  if (typeof value === 'number') return String(value);
  return /[\\\t\n\r]/.test(value) ? value.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character]!) : value;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
