/** A TCP proxy before a PostgreSQL server, through which tests cut, stall and spy on connections. */

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TestProxy {
  readonly host: string;
  readonly port: number;
  /** Connections that are open. */
  readonly open: number;
  /** Bytes from the clients so far. */
  readonly received: number;
  /** Resets all connections, as a network does that goes away. New ones are taken. */
  cut(): void;
  /** Passes nothing on any more, in neither direction, without closing anything: a stopped process, a half-open connection. */
  stall(): void;
  /**
   * The present connections pass nothing on any more, and stay open; new ones are served.
   * Returns a function that resets their sockets to the server, as the server's TCP keep-alive does in the end.
   * The clients hear nothing of it. Until then the server's sessions wait for their client, and hold their locks.
   */
  silence(): () => void;
  /** Passes on what was held. */
  resume(): void;
  /** Keeps the server's answers, and passes them on in one. */
  holdAnswers(): void;
  passAnswers(): void;
  /** Calls back with each chunk of a client's before it is passed on; `'drop'` keeps it and all that follows. */
  onData: (chunk: Buffer) => 'drop' | undefined;
  /** The same with the server's. */
  onAnswer: (chunk: Buffer) => 'drop' | undefined;
  close(): Promise<void>;
}

export async function startProxy(targetUrl: string): Promise<TestProxy> {
  const target = new URL(targetUrl);
  const pairs = new Set<[Socket, Socket]>();
  let isStalled = false;
  let held: (() => void)[] | undefined;
  let received = 0;

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: Number(target.port), host: target.hostname, allowHalfOpen: true });
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    const pass = (from: Socket, to: Socket, watch: () => (chunk: Buffer) => 'drop' | undefined) => {
      let isDropping = false;
      from.on('data', (chunk: Buffer) => {
        if (from === client) received += chunk.length;
        isDropping ||= watch()(chunk) === 'drop';
        if (isDropping) return;
        if (held === undefined || from === client) to.write(chunk);
        else held.push(() => to.write(chunk));
      });
      // A farewell is a message like others: a peer that has gone silent does not hear it.
      from.on('end', () => {
        if (isDropping) return;
        if (held === undefined || from === client) to.end();
        else held.push(() => to.end());
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        if (to.destroyed) pairs.delete(pair);
        if (isStalled) return;
        if (held === undefined || from === client) to.destroy();
      });
    };
    pass(client, upstream, () => proxy.onData);
    pass(upstream, client, () => proxy.onAnswer);
    if (isStalled) for (const socket of pair) socket.pause();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const proxy: TestProxy = {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    get open() {
      return pairs.size;
    },
    get received() {
      return received;
    },
    cut() {
      for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    },
    stall() {
      isStalled = true;
      for (const pair of pairs) for (const socket of pair) socket.pause();
    },
    silence() {
      isStalled = false;
      const silenced = [...pairs];
      for (const pair of silenced) {
        for (const socket of pair) socket.pause().removeAllListeners('data');
      }
      return () => {
        for (const [, upstream] of silenced) upstream.removeAllListeners('close').resetAndDestroy();
      };
    },
    resume() {
      isStalled = false;
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    holdAnswers() {
      held = [];
    },
    passAnswers() {
      for (const [, upstream] of pairs) upstream.pause();
      const sockets = [...pairs].map(([client]) => client);
      for (const socket of sockets) socket.cork();
      const passOn = held ?? [];
      held = undefined;
      for (const pass of passOn) pass();
      for (const socket of sockets) socket.uncork();
      for (const [, upstream] of pairs) upstream.resume();
    },
    onData: () => undefined,
    onAnswer: () => undefined,
    async close() {
      server.close();
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await once(server, 'close');
    },
  };
  return proxy;
}
