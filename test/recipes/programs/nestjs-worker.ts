/**
 * A NestJS application that reads events from standard input into a table. At SIGTERM it reads no more, and stores what it has read.
 * Only classes are decorated, so it runs with any settings of TypeScript.
 *
 * Packages: `spillway pg pg-copy-streams @nestjs/common @nestjs/core reflect-metadata rxjs`
 * Table: `CREATE TABLE events (name text, at timestamptz)`
 * Run: `npx tsx nestjs-worker.ts < events.ndjson`
 */

import 'reflect-metadata';
import { createInterface } from 'node:readline';
import {
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { BackpressureController, drainAll, drainOnSignals } from 'spillway';
import { copyInto } from 'spillway/postgres';

interface Event {
  name: string;
  at: string;
}

class EventTable implements OnApplicationShutdown {
  readonly pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] }).on('error', console.error);
  readonly sink = new BackpressureController<Event>(copyInto(this.pool, { table: 'events' }), {
    maxBlockTimeMs: Infinity,
    onFailed: (failures) => {
      for (const { item, error } of failures) console.error(`${item.name}: ${error.message}`);
    },
  });

  constructor() {
    this.sink.start();
  }

  /** The last of Nest's hooks: servers are closed by then, and the other providers have stopped. */
  async onApplicationShutdown(): Promise<void> {
    const { undelivered } = await drainAll([this.sink], { timeoutMs: 8_000 });
    console.log(`${this.sink.getMetrics().eventsFlushed} stored, ${undelivered.length} undelivered`);
    // Not waited for: a batch that hangs would keep the process from ending in time.
    void this.pool.end();
  }
}

class Reader implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly lines = createInterface({ input: process.stdin });
  private readonly table: EventTable;

  constructor(table: EventTable) {
    this.table = table;
  }

  onApplicationBootstrap(): void {
    this.read().catch((error: unknown) => console.error(error));
  }

  onModuleDestroy(): void {
    this.lines.close();
    process.stdin.destroy();
  }

  private async read(): Promise<void> {
    for await (const line of this.lines) await this.table.sink.push(JSON.parse(line) as Event);
  }
}

@Module({
  providers: [
    EventTable,
    { provide: Reader, useFactory: (table: EventTable) => new Reader(table), inject: [EventTable] },
  ],
})
class App {}

const app = await NestFactory.createApplicationContext(App);
app.enableShutdownHooks();
// Keeps the process until the drain is over, also when Nest raises the signal again.
drainOnSignals([app.get(EventTable).sink]);
console.log('reading');
