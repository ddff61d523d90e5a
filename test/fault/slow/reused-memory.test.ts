/**
 * The memory of a file's chunks is used again once their rows are in the table. Rows that were still on their way, on a connection that was
 * given up, must not be sent with the bytes of others.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { LoadOptions } from '../../../src/cli/args/options.js';
import { parseArguments } from '../../../src/cli/args/parse-arguments.js';
import { ChunkPool, type ChunkMemory } from '../../../src/cli/common/chunk-memory.js';
import { load } from '../../../src/cli/load/load.js';
import type * as LoadSinkModule from '../../../src/cli/write/load-sink.js';
import { silentTerminal } from '../../support/both-pipelines.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';

/** Long enough for a batch on a slow machine: one that takes longer is only sent again. */
const FLUSH_TIMEOUT_MS = 5_000;

vi.mock('../../../src/cli/write/load-sink.js', async (importActual) => {
  const actual = await importActual<typeof LoadSinkModule>();
  const createRowCopy: typeof actual.createRowCopy = (...given) => {
    const copy = actual.createRowCopy(...given);
    Object.assign(copy.defaults, {
      flushTimeoutMs: FLUSH_TIMEOUT_MS,
      retry: { ...copy.defaults.retry, attempts: 20 },
    });
    return copy;
  };
  return { ...actual, createRowCopy };
});

const ROWS = 400_000;
const MIB = 1024 * 1024;
const textOf = (row: number): string => String(7919 * row).padStart(40, '0');

const database = useTestDatabase();
let proxy: TestProxy;
let directory = '';
beforeEach(async () => {
  proxy = await startProxy(database.url);
  directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-reused-memory-'));
});
afterEach(async () => {
  await proxy.close();
  await rm(directory, { recursive: true, force: true });
});

async function run(args: string[]): Promise<Record<string, unknown>> {
  const { options } = parseArguments(['load', ...args, '--quiet']) as { options: LoadOptions };
  return (await load(options, silentTerminal())).json;
}

/** Does something to all connections each time that so many bytes more have come from the load. */
function trouble(...steps: readonly (readonly [bytes: number, act: () => unknown])[]): {
  readonly left: number;
} {
  const due = [...steps];
  proxy.onData = () => {
    const [next] = due;
    if (next === undefined || proxy.received < next[0]) return undefined;
    due.shift();
    setImmediate(next[1]);
    return undefined;
  };
  return {
    get left() {
      return due.length;
    },
  };
}

test.each([
  ['csv', '1'],
  ['csv', '3'],
  ['ndjson', '3'],
])(
  '%s over %s connections, which are cut, and fall silent in the middle of a batch: each row has its own text',
  async (format, connections) => {
    const taken = vi.spyOn(ChunkPool.prototype, 'take');
    const table = await database.table('a int, b text');
    const file = path.join(directory, `rows.${format}`);
    const lines = Array.from({ length: ROWS }, (_, a) =>
      format === 'csv' ? `${a},${textOf(a)}\n` : `{"a":${a},"b":"${textOf(a)}"}\n`,
    );
    await writeFile(file, [format === 'csv' ? 'a,b\n' : '', ...lines].join(''));
    const releases: (() => void)[] = [];
    const silence = (): unknown => releases.push(proxy.silence());
    const steps = trouble(
      [3.5 * MIB, () => proxy.cut()],
      [7.3 * MIB, silence],
      [14.1 * MIB, () => proxy.cut()],
      [17.2 * MIB, silence],
    );
    const url = database.urlVia(proxy.host, proxy.port);
    const json = await run([file, '-t', table, '--to', url, '--connections', connections, '--import', table]);
    for (const release of releases) release();
    const memories = taken.mock.results.map(({ value }) => value as ChunkMemory);
    taken.mockRestore();
    expect([steps.left, json['error'], json['rows']]).toEqual([0, null, ROWS]);
    expect(
      await database.query(
        `SELECT count(*)::int AS rows, count(DISTINCT a)::int AS different,
           count(*) FILTER (WHERE b <> lpad((7919 * a::bigint)::text, 40, '0'))::int AS wrong FROM ${table}`,
      ),
    ).toEqual([{ rows: ROWS, different: ROWS, wrong: 0 }]);
    expect(new Set(memories).size).toBeLessThan(memories.length);
  },
);
