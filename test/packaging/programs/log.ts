/** A JetStream stream into a table. DATABASE_URL and NATS_URL name the servers; without NATS_URL, the entry is imported and no more. */

import assert from 'node:assert/strict';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import pg from 'pg';
import { InvalidOptionError } from 'spillway';
import { jetStreamLog, LogError } from 'spillway/jetstream';
import { consumeLog, LogError as SameLogError } from 'spillway/postgres';
import { runChecks, type Checks } from './run-checks.js';

const servers = process.env['NATS_URL'];
const name = `t${process.pid}_${process.argv[2]}`;

const withServer: Checks = {
  async 'messages are stored exactly once, and bad ones beside them'() {
    const nats = await connect({ servers: servers! });
    const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
    pool.on('error', () => undefined);
    const manager = await jetstreamManager(nats);
    await manager.streams.add({ name, subjects: [`${name}.>`] });
    const client = jetstream(nats);
    const bodies = Array.from({ length: 2000 }, (_, id) =>
      id === 700 ? '{"id": "x"}' : JSON.stringify({ id, item: `ü ${id}` }),
    );
    await Promise.all(bodies.map((body) => client.publish(`${name}.new`, body)));
    await pool.query(`CREATE SCHEMA ${name}; CREATE TABLE ${name}.orders (id int, item text)`);
    const loadOnce = async (): Promise<void> => {
      const log = jetStreamLog(nats, { stream: name });
      const load = consumeLog(log, pool, {
        table: 'orders',
        schema: name,
        importId: name,
        untilCaughtUp: true,
      });
      await load.finished;
    };
    await loadOnce();
    await loadOnce();
    const counts = await pool.query(
      `SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids, max(item) AS item,
         (SELECT count(*)::int FROM ${name}.spillway_dead_letters) AS dead FROM ${name}.orders`,
    );
    assert.deepEqual(counts.rows, [{ n: 1999, ids: 1999, item: 'ü 999', dead: 1 }]);
    await pool.query(`DROP SCHEMA ${name} CASCADE`);
    await manager.streams.delete(name);
    await nats.close();
    await pool.end();
  },
};

void runChecks({
  'the entries share their classes, and options are checked'() {
    assert.equal(LogError, SameLogError);
    // As a predicate: with a class, Deno's `assert.throws` compares prototypes, and not by `instanceof`.
    const isOurs = (error: unknown): boolean => error instanceof InvalidOptionError;
    assert.throws(() => jetStreamLog({} as never, {} as never), isOurs);
  },
  ...(servers === undefined ? {} : withServer),
});
