/** A file of NDJSON into a table: one COPY. */

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

const escape = (text: string) =>
  text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');

async function* rows(file: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const { id, name } = JSON.parse(line) as { id: number; name: string | null };
    yield `${id}\t${name === null ? '\\N' : escape(name)}\n`;
  }
}

const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
client.on('error', console.error);
await client.connect();
try {
  await pipeline(rows(process.argv[2]!), client.query(copyFrom('COPY events (id, name) FROM STDIN')));
} finally {
  await client.end();
}
