/** PostgreSQL for a benchmark: an embedded server of its own, or the one that `SPILLWAY_BENCH_DATABASE_URL` names (its superuser's). */

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startEmbeddedServer } from '../../src/cli/server/embedded/embedded-server.js';
import { ended } from './psql.js';

export interface BenchServer {
  readonly url: string;
  readonly pool: pg.Pool;
  /** For files; deleted at the end. */
  readonly folder: string;
}

export async function* withServer<T>(
  use: (server: BenchServer) => AsyncIterable<T>,
): AsyncGenerator<T, void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-bench-'));
  try {
    const given = process.env['SPILLWAY_BENCH_DATABASE_URL'];
    const server = given === undefined ? await startEmbeddedServer() : undefined;
    const url = given ?? server!.url;
    const pool = new pg.Pool({ connectionString: url });
    try {
      yield* use({ url, pool, folder });
    } finally {
      await pool.end();
      await server?.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The built one, unless `SPILLWAY_BENCH_COMMAND` names another. */
export const COMMAND_LINE =
  process.env['SPILLWAY_BENCH_COMMAND'] ?? fileURLToPath(new URL('../../dist/cli/main.cjs', import.meta.url));

/** `spillway load` from the start of the program to its end. */
export function spillwayLoad(url: string, args: readonly string[], expectedCode = 0): Promise<void> {
  return ended(
    process.execPath,
    [COMMAND_LINE, 'load', ...args, '--quiet'],
    { DATABASE_URL: url },
    expectedCode,
  );
}
