/** A proxy before a real PostgreSQL that breaks the protocol at a chosen message of the server's. */

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What is done at the message. `'silence'`: nothing comes any more; `'trickle'`: the rest comes byte by byte. */
export type Meddling =
  { at: number; how: 'insert' | 'replace'; bytes: Buffer } | { at: number; how: 'silence' | 'trickle' };

export interface MeddlingProxy {
  readonly port: number;
  /** Names the faults of the connections to come, each for one connection. */
  next: (Meddling | undefined)[];
  /** How many messages the server has sent on the last connection, after its login and in all. */
  counts: { inAll: number; atLogin: number };
  close(): Promise<void>;
}

const READY = 0x5a;

export async function startMeddlingProxy(targetUrl: string): Promise<MeddlingProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const proxy: Omit<MeddlingProxy, 'port' | 'close'> = { next: [], counts: { inAll: 0, atLogin: 0 } };
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    const counts = { inAll: 0, atLogin: 0 };
    proxy.counts = counts;
    const meddling = proxy.next.shift();
    let rest = Buffer.alloc(0);
    let isSilent = false;
    client.on('data', (chunk) => upstream.write(chunk)).on('close', () => upstream.destroy());
    upstream.on('close', () => (isSilent ? undefined : client.end()));
    upstream.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      const out: Buffer[] = [];
      while (!isSilent && rest.length >= 5 && rest.length >= 1 + rest.readUInt32BE(1)) {
        const message = rest.subarray(0, 1 + rest.readUInt32BE(1));
        rest = rest.subarray(message.length);
        const at = counts.inAll;
        counts.inAll += 1;
        if (message[0] === READY && counts.atLogin === 0) counts.atLogin = counts.inAll;
        if (meddling?.at !== at) out.push(message);
        else if (meddling.how === 'insert') out.push(meddling.bytes, message);
        else if (meddling.how === 'replace') out.push(meddling.bytes);
        else {
          isSilent = true;
          if (meddling.how === 'trickle') trickle(client, message);
        }
      }
      if (out.length > 0) client.write(Buffer.concat(out));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(proxy, {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  });
}

function trickle(client: Socket, message: Buffer): void {
  let sent = 0;
  const timer = setInterval(() => client.write(message.subarray(sent, (sent += 1))), 1_000);
  client.on('close', () => clearInterval(timer));
}
