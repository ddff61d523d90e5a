/** The faults of the soak: each begins, lasts for a while, and ends with everything as it was. */

import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { signalled, type FaultServer } from '../support/fault-server.js';
import type { TestProxy } from '../support/postgres-proxy.js';
import type { SeededRandom } from '../support/seeded-random.js';
import { SINK_NAMES, TABLES, type SinkName } from './protocol.js';

export interface Scene {
  server: FaultServer;
  proxy: TestProxy;
  /** To the server, not through the proxy. */
  databaseUrl: string;
  servicePid: number;
  random: SeededRandom;
  /** Blocks the service's event loop. */
  block: (ms: number) => Promise<void>;
  /** Answers 429 so far. */
  refusals: Readonly<Record<SinkName, number>>;
  /** Sends as much as it can; `undefined` for changing rates. */
  setRate: (perSecond: number | undefined) => void;
}

type Disturbance = (scene: Scene) => Promise<void>;

/** Beyond this an outage has not filled the buffers, however fast events came. */
const LONGEST_FILL_MS = 60_000;
const FAST_RATE = 6_000;

export const DISTURBANCES: Readonly<Record<string, Disturbance>> = {
  'server stopped (immediate)': (scene) => restart(scene, 'immediate'),
  'server stopped (fast)': (scene) => restart(scene, 'fast'),
  'server killed': (scene) => restart(scene, 'killed'),
  'outage longer than the buffer': fillUp,
  'connections cut': async ({ proxy, random }) => {
    for (let count = random.int(1, 5); count > 0; count--) {
      proxy.cut();
      await delay(random.between(50, 800));
    }
  },
  'connections stalled': async ({ proxy, random }) => {
    proxy.stall();
    await delay(random.between(500, 6_000));
    proxy.resume();
  },
  'connections half open': async ({ proxy, random }) => {
    const endSessions = proxy.silence();
    await delay(random.between(1_000, 8_000));
    endSessions();
  },
  'backends terminated': (scene) => onBackends(scene, 'pg_terminate_backend'),
  'statements cancelled': (scene) => onBackends(scene, 'pg_cancel_backend'),
  'backends stopped at COMMIT': stopAtCommit,
  'answers to COMMIT lost': (scene) => loseCommits(scene, 'answer'),
  'COMMIT lost': (scene) => loseCommits(scene, 'request'),
  'slow phase': (scene) => withTrigger(scene, `PERFORM pg_sleep(${scene.random.between(0.2, 2).toFixed(2)})`),
  'disk full': (scene) => withTrigger(scene, "RAISE 'could not extend file' USING ERRCODE = '53100'"),
  'table locked': async ({ databaseUrl, random }) => {
    const lock = `BEGIN; LOCK TABLE ${tableList()} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(${random.between(1, 6)}); COMMIT`;
    await query(databaseUrl, lock);
  },
  'service stopped for a while': async ({ servicePid, random }) => {
    process.kill(servicePid, 'SIGSTOP');
    await delay(random.between(500, 12_000));
    process.kill(servicePid, 'SIGCONT');
  },
  'event loop blocked': ({ block, random }) => block(random.between(500, 4_000)),
};

/** After these the server itself has been away, and the sinks have to find it again by themselves. */
export const OUTAGES: ReadonlySet<string> = new Set([
  'server stopped (immediate)',
  'server stopped (fast)',
  'server killed',
  'outage longer than the buffer',
]);

async function restart({ server, random }: Scene, how: 'immediate' | 'fast' | 'killed'): Promise<void> {
  await server.goDown(how);
  await delay(random.between(0, 8_000));
  await server.comeBack();
}

/** Until both sinks have refused events. */
async function fillUp({ server, refusals, setRate }: Scene): Promise<void> {
  const before = { ...refusals };
  const isFull = (name: SinkName) => refusals[name] > before[name];
  await server.goDown('fast');
  setRate(FAST_RATE);
  const giveUpAt = performance.now() + LONGEST_FILL_MS;
  while (!SINK_NAMES.every(isFull) && performance.now() < giveUpAt) await delay(100);
  await delay(2_000);
  setRate(undefined);
  await server.comeBack();
  if (!SINK_NAMES.every(isFull))
    throw new Error(`an outage of ${LONGEST_FILL_MS} ms has not filled both buffers`);
}

async function onBackends({ databaseUrl, random }: Scene, call: string): Promise<void> {
  for (let count = random.int(1, 4); count > 0; count--) {
    await query(
      databaseUrl,
      `SELECT ${call}(pid) FROM pg_stat_activity WHERE application_name = 'soak-service'`,
    );
    await delay(random.between(50, 1_000));
  }
}

/** Stops all of the service's backends as soon as one of them is to commit. */
async function stopAtCommit({ databaseUrl, proxy, random }: Scene): Promise<void> {
  const { rows } = await query<{ pid: number }>(
    databaseUrl,
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'soak-service'",
  );
  const stopped: number[] = [];
  proxy.onData = (chunk) => {
    if (stopped.length === 0 && chunk.includes('COMMIT'))
      stopped.push(...rows.map(({ pid }) => pid).filter((pid) => signalled(pid, 'SIGSTOP')));
    return undefined;
  };
  const giveUpAt = performance.now() + 10_000;
  while (stopped.length === 0 && performance.now() < giveUpAt) await delay(20);
  proxy.onData = () => undefined;
  try {
    await delay(random.between(500, 12_000));
  } finally {
    for (const pid of stopped) signalled(pid, 'SIGCONT');
  }
}

async function loseCommits({ proxy, random }: Scene, what: 'request' | 'answer'): Promise<void> {
  const open = { commits: random.int(1, 5), answers: 0 };
  proxy.onData = (chunk) => {
    if (open.commits === 0 || !chunk.includes('COMMIT')) return undefined;
    open.commits--;
    if (what === 'answer') {
      open.answers = 1;
      return undefined;
    }
    setImmediate(() => proxy.cut());
    return 'drop';
  };
  proxy.onAnswer = () => {
    if (open.answers === 0) return undefined;
    open.answers = 0;
    setImmediate(() => proxy.cut());
    return 'drop';
  };
  const giveUpAt = performance.now() + 15_000;
  while (open.commits + open.answers > 0 && performance.now() < giveUpAt) await delay(20);
  proxy.onData = () => undefined;
  proxy.onAnswer = () => undefined;
}

/** Both tables have a trigger for some seconds, which does this for each statement. */
async function withTrigger({ databaseUrl, random }: Scene, action: string): Promise<void> {
  await query(
    databaseUrl,
    `CREATE OR REPLACE FUNCTION soak_trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${action}; RETURN NULL; END $$`,
  );
  const each = (statement: (table: string) => string) => Object.values(TABLES).map(statement).join('; ');
  await query(
    databaseUrl,
    each(
      (table) =>
        `CREATE TRIGGER trouble BEFORE INSERT ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION soak_trouble()`,
    ),
  );
  await delay(random.between(1_000, 8_000));
  await query(
    databaseUrl,
    each((table) => `DROP TRIGGER trouble ON ${table}`),
  );
}

const tableList = (): string => Object.values(TABLES).join(', ');

/** Beyond this a lock is held by a session that should have ended long ago. */
const LOCK_TIMEOUT_MS = 30_000;

/** Runs statements on a connection of its own, so that restarts of the server need no care. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
): Promise<pg.QueryResult<Row>> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'soak',
    options: `-c lock_timeout=${LOCK_TIMEOUT_MS}`,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await client.query<Row>(sql);
  } finally {
    await client.end();
  }
}
