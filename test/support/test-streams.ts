/** A real NATS server for a test file, with a connection and streams. Each test is checked for consumers that it left behind. */

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { startNatsServer, type NatsServer } from './nats-server.js';

export interface TestStreams {
  readonly server: NatsServer;
  readonly nats: NatsConnection;
  /** Makes a stream for the subjects below its name. */
  make(config?: Record<string, unknown>): Promise<string>;
  /** Publishes bodies in their order, and awaits that they are stored. */
  publish(stream: string, bodies: readonly unknown[], subject?: string): Promise<void>;
  /** Starts the server again, and awaits that it is connected. */
  restart(): Promise<void>;
  /** Those that a worker has left behind. */
  deleteConsumers(stream: string): Promise<void>;
  /** Another connection, which the end of the test closes. */
  connect(port?: number): Promise<NatsConnection>;
}

const AT_ONCE = 500;

export function useTestStreams(): TestStreams {
  let server: NatsServer;
  let nats: NatsConnection;
  let streams: string[] = [];
  let made = 0;
  const connections = new Set<NatsConnection>();
  const open = (port: number): Promise<NatsConnection> =>
    connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 });

  beforeAll(async () => {
    server = await startNatsServer();
    nats = await open(server.port);
  });

  afterEach(async () => {
    const used = streams;
    streams = [];
    await expectNoConsumers(nats, used);
    for (const connection of connections) await connection.close();
    connections.clear();
  });

  afterAll(async () => {
    await nats.close();
    await server.stop();
  });

  return {
    get server() {
      return server;
    },
    get nats() {
      return nats;
    },
    async make(config = {}) {
      const stream = `S${(made += 1)}`;
      const manager = await jetstreamManager(nats);
      await manager.streams.add({ name: stream, subjects: [`${stream}.>`], ...config });
      streams.push(stream);
      return stream;
    },
    async publish(stream, bodies, subject = 'a') {
      const client = jetstream(nats);
      for (let start = 0; start < bodies.length; start += AT_ONCE) {
        const part = bodies.slice(start, start + AT_ONCE);
        const texts = part.map((body) => (typeof body === 'string' ? body : JSON.stringify(body)));
        await Promise.all(texts.map((text) => client.publish(`${stream}.${subject}`, text)));
      }
    },
    async restart() {
      await server.restart();
      // The old connection may not have noticed yet: it would wait for an answer that was lost.
      await nats.close();
      nats = await open(server.port);
    },
    async deleteConsumers(stream) {
      const manager = await jetstreamManager(nats);
      for await (const { name } of manager.consumers.list(stream)) {
        await manager.consumers.delete(stream, name);
      }
    },
    async connect(port = server.port) {
      const connection = await open(port);
      connections.add(connection);
      return connection;
    },
  };
}

/** A consumer that is deleted takes a moment to be gone. */
async function expectNoConsumers(nats: NatsConnection, streams: readonly string[]): Promise<void> {
  const manager = await jetstreamManager(nats);
  for (const stream of streams) {
    const deadline = Date.now() + 5_000;
    for (;;) {
      const info = await manager.streams.info(stream).catch(() => undefined);
      const count = info?.state.consumer_count ?? 0;
      if (count === 0) break;
      if (Date.now() > deadline) expect({ stream, consumers: count }).toEqual({ stream, consumers: 0 });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
