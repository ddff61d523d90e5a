/** Many workers and lanes, on a clock without waiting: claims, expiry, merges, and what PostgreSQL sees of them. */

import { SeededRandom } from '../../support/seeded-random.js';
import { SimulatedClock } from '../../support/simulated-clock.js';
import { LaneTable, type TransactionKind } from './lane-table.js';
import { SimulatedWorker, type World } from './simulated-worker.js';
import type { FaultKind, TakeoverTimes } from './takeovers.js';

export interface ManyWorkers {
  readonly workers: number;
  readonly lanes: number;
  readonly laneSize: number;
  readonly batchRows: number;
  /** How long a batch takes, its COPY included. */
  readonly batchMs: number;
  readonly connections: number;
  readonly leaseMs: number;
  /** A worker is killed, and started again, about so often; and another is stopped for up to three leases. 0: never. */
  readonly faultEveryMs: number;
  readonly seed: number;
  /** After the load, for so long, nothing arrives. */
  readonly idleMs: number;
}

export const USUAL: ManyWorkers = {
  workers: 50,
  lanes: 1_000_000,
  laneSize: 50_000,
  batchRows: 5_000,
  batchMs: 200,
  connections: 2,
  leaseMs: 15_000,
  faultEveryMs: 60_000,
  seed: 1,
  idleMs: 60_000,
};

/** What a server does in a second. */
export interface ServerLoad {
  readonly statements: number;
  /** Without those of batches. */
  readonly ownStatements: number;
  readonly rowsWritten: number;
  readonly transactions: Readonly<Record<TransactionKind, number>>;
}

export interface ManyWorkersResult {
  readonly simulatedMs: number;
  readonly rows: number;
  readonly rowsExpected: number;
  readonly lanesFinished: number;
  readonly kills: number;
  readonly stops: number;
  /** All of them, and those after each kind of fault. */
  readonly takeovers: number;
  readonly takeoversAfter: Readonly<Record<FaultKind, TakeoverTimes>>;
  readonly mostRows: number;
  readonly rowsVisited: number;
  readonly mostVisited: number;
  readonly longestLockWaitMs: number;
  readonly loading: ServerLoad;
  readonly idle: ServerLoad;
  readonly events: number;
}

/** Of a short transaction of five round trips. */
const TRANSACTION_MS = 4;

export async function runManyWorkers(plan: ManyWorkers): Promise<ManyWorkersResult> {
  const { workers, lanes, laneSize, batchRows, batchMs, connections, leaseMs, faultEveryMs, idleMs } = plan;
  const clock = new SimulatedClock();
  const random = new SeededRandom(plan.seed);
  const table = new LaneTable(leaseMs);
  const world: World = {
    clock,
    random,
    table,
    lastPosition: lanes * laneSize,
    laneSize,
    batchRows,
    connections,
    leaseMs,
    untilCaughtUp: false,
    transactionMs: TRANSACTION_MS,
    batchMs,
    importLockedUntil: 0,
    longestLockWaitMs: 0,
  };
  const running = Array.from({ length: workers }, () => startWorker(world));
  let [kills, stops, events] = [0, 0, 0];
  const isLoading = (): boolean => table.loaded < world.lastPosition;
  const disturb = (): void => {
    if (!isLoading()) return;
    const place = random.int(0, workers - 1);
    if (random.chance(0.5)) {
      running[place]!.kill();
      running[place] = startWorker(world);
      kills += 1;
    } else {
      running[place]!.stop(random.between(0.5, 3) * leaseMs);
      stops += 1;
    }
    clock.after(random.exponential(faultEveryMs), disturb);
  };
  if (faultEveryMs > 0) clock.after(faultEveryMs, disturb);
  const turn = async (goesOn: () => boolean): Promise<void> => {
    while (goesOn()) {
      clock.step();
      events += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await turn(isLoading);
  const simulatedMs = clock.now();
  const loading = loadOf(table, simulatedMs);
  const before = snapshot(table);
  await turn(() => clock.now() < simulatedMs + idleMs);
  const idle = idleMs === 0 ? loading : loadOf(table, clock.now() - simulatedMs, before);
  for (const worker of running) worker.kill();
  return {
    simulatedMs,
    rows: table.loaded,
    rowsExpected: world.lastPosition,
    lanesFinished: table.finished,
    kills,
    stops,
    takeovers: table.takeovers.count,
    takeoversAfter: table.takeovers.of,
    mostRows: table.mostRows,
    rowsVisited: table.visited / table.transactions.claim,
    mostVisited: table.mostVisited,
    longestLockWaitMs: world.longestLockWaitMs,
    loading,
    idle,
    events,
  };
}

function startWorker(world: World): SimulatedWorker {
  const worker = new SimulatedWorker(world);
  // It ends by its death only. Whatever else it ended by would be missing in what is loaded, and is worth a failure at once.
  worker.consumer.finished.catch((error: unknown) => {
    throw error;
  });
  return worker;
}

interface Snapshot {
  readonly statements: number;
  readonly written: number;
  readonly transactions: Readonly<Record<TransactionKind, number>>;
}

function snapshot({ statements, written, transactions }: LaneTable): Snapshot {
  return { statements, written, transactions: { ...transactions } };
}

function loadOf(table: LaneTable, ms: number, before?: Snapshot): ServerLoad {
  const seconds = ms / 1_000;
  const of = (now: number, then = 0): number => (now - then) / seconds;
  const kinds = Object.keys(table.transactions) as TransactionKind[];
  const transactions = Object.fromEntries(
    kinds.map((kind) => [kind, of(table.transactions[kind], before?.transactions[kind])]),
  ) as Record<TransactionKind, number>;
  const statements = of(table.statements, before?.statements);
  return {
    statements,
    ownStatements: statements - 8 * transactions.batch,
    rowsWritten: of(table.written, before?.written),
    transactions,
  };
}
