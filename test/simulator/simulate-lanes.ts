/** `npm run simulate:lanes`: many workers and lanes on a clock without waiting, or the real statements on a real server. */

import { parseArgs } from 'node:util';
import pg from 'pg';
import { startEmbeddedServer } from '../../src/cli/server/embedded/embedded-server.js';
import { contend, fillLanes, statementCosts, type Filling } from './lanes/lane-sql.js';
import { runManyWorkers, USUAL, type ManyWorkersResult, type ServerLoad } from './lanes/many-workers.js';

const HELP = `npm run simulate:lanes -- [options]

  --workers N,N      so many workers; several are run one after another (default ${USUAL.workers})
  --lanes N          lanes of the log (default ${USUAL.lanes}), each of ${USUAL.laneSize} messages
  --batch N          messages of a batch (default ${USUAL.batchRows})
  --batch-ms MS      how long one takes (default ${USUAL.batchMs})
  --lease MS         (default ${USUAL.leaseMs})
  --faults MS        a worker is killed or stopped about so often; 0: never (default ${USUAL.faultEveryMs})
  --seed N           (default ${USUAL.seed})
  --sql              the real statements on an embedded PostgreSQL: plans and times, and connections that claim
  --connections N    of them, with --sql (default 50)
`;

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: String(USUAL.workers) },
    lanes: { type: 'string', default: String(USUAL.lanes) },
    batch: { type: 'string', default: String(USUAL.batchRows) },
    'batch-ms': { type: 'string', default: String(USUAL.batchMs) },
    lease: { type: 'string', default: String(USUAL.leaseMs) },
    faults: { type: 'string', default: String(USUAL.faultEveryMs) },
    seed: { type: 'string', default: String(USUAL.seed) },
    sql: { type: 'boolean', default: false },
    connections: { type: 'string', default: '50' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else if (values.sql) await runSql(Number(values.lanes), Number(values.connections));
else for (const workers of values.workers.split(',')) await simulate(Number(workers));

async function simulate(workers: number): Promise<void> {
  const result = await runManyWorkers({
    ...USUAL,
    workers,
    lanes: Number(values.lanes),
    batchRows: Number(values.batch),
    batchMs: Number(values['batch-ms']),
    leaseMs: Number(values.lease),
    faultEveryMs: Number(values.faults),
    seed: Number(values.seed),
  });
  show(workers, result);
  if (result.rows === result.rowsExpected) return;
  console.log(`WRONG: ${result.rows} positions were loaded in place of ${result.rowsExpected}`);
  process.exitCode = 1;
}

function show(workers: number, result: ManyWorkersResult): void {
  const { simulatedMs, rows, kills, stops, takeovers, takeoversAfter, loading, idle } = result;
  const hours = simulatedMs / 3_600_000;
  const perSecond = (value: number): string => value.toFixed(1);
  const line = ({ statements, ownStatements, rowsWritten, transactions }: ServerLoad): string =>
    `${perSecond(statements)} statements/s, of which ${perSecond(ownStatements)} are not of batches; ` +
    `${perSecond(rowsWritten)} versions of rows/s; ` +
    Object.entries(transactions)
      .map(([kind, count]) => `${kind} ${perSecond(count)}/s`)
      .join(', ');
  console.log(
    [
      `${workers} workers, ${result.lanesFinished} lanes, ${rows} messages in ${hours.toFixed(2)} h: ${(rows / simulatedMs).toFixed(0)} k/s`,
      `  while loading: ${line(loading)}`,
      `  while idle: ${line(idle)}`,
      `  table of lanes: ${result.mostRows} rows at the most; a claim looks at ${result.rowsVisited.toFixed(0)} of them, at the most ${result.mostVisited}`,
      `  waits for the import's lock: ${result.longestLockWaitMs.toFixed(0)} ms at the most`,
      `  ${kills} kills, ${stops} stops, ${takeovers} lanes taken over`,
      ...Object.entries(takeoversAfter).map(
        ([kind, { claimed, loaded }]) =>
          `  after a ${kind}: claimed ${spread(claimed)}; a batch of theirs was committed ${spread(loaded)}`,
      ),
    ].join('\n'),
  );
}

function spread(times: readonly number[]): string {
  if (times.length === 0) return 'never';
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))]! / 1_000).toFixed(2);
  return `${times.length} × after ${at(0.5)} s (median), ${at(0.99)} s (99 of 100), ${at(1)} s (worst)`;
}

async function runSql(lanes: number, connections: number): Promise<void> {
  const server = await startEmbeddedServer();
  const pool = new pg.Pool({ connectionString: server.url });
  try {
    for (const filling of ['all free', 'finished behind a held one'] satisfies Filling[]) {
      const importRow = await fillLanes(pool, filling, lanes, filling);
      console.log(`${lanes} rows, ${filling}:`);
      for (const { name, ms, scans } of await statementCosts(pool, importRow)) {
        console.log(`  ${name.padEnd(22)} ${ms.toFixed(2).padStart(9)} ms  ${scans.join(', ')}`);
      }
    }
    const makePool = (): pg.Pool => new pg.Pool({ connectionString: server.url, max: 1 });
    const found = await contend(makePool, 'all free', connections, 20);
    console.log(
      `${found.connections} connections: ${found.claims} claims, ${found.twice} of them twice, ${found.perSecond.toFixed(0)}/s; ` +
        `one takes ${found.medianMs.toFixed(0)} ms (median), ${found.slowestMs.toFixed(0)} ms at the most`,
    );
    if (found.twice > 0) process.exitCode = 1;
  } finally {
    await pool.end();
    await server.stop();
  }
}
