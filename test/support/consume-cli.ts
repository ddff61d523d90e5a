/** `spillway consume` as its users have it, with a NATS server and a database of the test file's own. */

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll } from 'vitest';
import { useCli, type Cli, type CliResult, type RunningCli, type RunOptions } from './cli.js';
import { startNatsServer, type NatsServer } from './nats-server.js';
import type { TestDatabase } from './postgres.js';

export interface ConsumeCli {
  readonly cli: Cli;
  readonly server: NatsServer;
  readonly nats: NatsConnection;
  /** `nats://127.0.0.1:…` */
  readonly url: string;
  /** Makes a stream for the subjects below its name, and returns the name. */
  makeStream(config?: Record<string, unknown>): Promise<string>;
  /** Publishes texts, or values as JSON. */
  publish(stream: string, messages: readonly unknown[], subject?: string): Promise<void>;
  /** Runs it until it is caught up. */
  consume(args: readonly string[], options?: RunOptions): Promise<CliResult>;
  start(args: readonly string[], options?: RunOptions): RunningCli;
}

export function useConsume(database: Pick<TestDatabase, 'url'>): ConsumeCli {
  const cli = useCli();
  let server: NatsServer;
  let nats: NatsConnection;
  let streams = 0;
  beforeAll(async () => {
    server = await startNatsServer();
    nats = await connect({ servers: `127.0.0.1:${server.port}`, maxReconnectAttempts: -1 });
  });
  afterAll(async () => {
    await nats.close();
    await server.stop();
  });
  const url = (): string => `nats://127.0.0.1:${server.port}`;
  const withServers = ({ env, ...options }: RunOptions): RunOptions => ({
    ...options,
    env: { DATABASE_URL: database.url, NATS_URL: url(), ...env },
  });
  return {
    cli,
    get server() {
      return server;
    },
    get nats() {
      return nats;
    },
    get url() {
      return url();
    },
    async makeStream(config = {}) {
      const stream = `S${(streams += 1)}`;
      const manager = await jetstreamManager(nats);
      await manager.streams.add({ name: stream, subjects: [`${stream}.>`], ...config });
      return stream;
    },
    async publish(stream, messages, subject = 'a') {
      const client = jetstream(nats);
      const bodies = messages.map((message) =>
        typeof message === 'string' ? message : JSON.stringify(message),
      );
      for (let start = 0; start < bodies.length; start += 500) {
        const part = bodies.slice(start, start + 500);
        await Promise.all(part.map((body) => client.publish(`${stream}.${subject}`, body)));
      }
    },
    consume: (args, options = {}) => cli.run(['consume', '--until-caught-up', ...args], withServers(options)),
    start: (args, options = {}) => cli.start(['consume', ...args], withServers(options)),
  };
}
