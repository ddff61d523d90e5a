/** A cancel request: asks the server to end the statement that a client waits for. By a connection of its own, as the protocol has it. */

import { connect as connectTcp, isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

/** Gives up then: the request is a favour, and nobody waits for it. */
const LIMIT_MS = 5_000;
const CANCEL_REQUEST = [1234, 5678] as const;
const SSL_REQUEST = [1234, 5679] as const;

/** The parts of node-postgres' client that tell which session it has, and where. */
interface CancellableClient {
  readonly host?: string;
  readonly port?: number;
  readonly processID?: number | null;
  readonly secretKey?: number | null;
  readonly ssl?: boolean | ConnectionOptions;
  readonly connection?: {
    readonly stream?: { readonly remoteAddress?: string; readonly remotePort?: number };
  };
}

/** Never throws. A client of another make, without a key for it, is left alone. */
export function requestCancel(client: object): void {
  const { host, port, processID, secretKey, ssl = false, connection } = client as CancellableClient;
  if (host === undefined || typeof processID !== 'number' || typeof secretKey !== 'number') return;
  // The server that the session is on: the name may stand for several.
  const { remoteAddress = host, remotePort = port ?? 5432 } = connection?.stream ?? {};
  const socket = host.startsWith('/')
    ? connectTcp(`${host}/.s.PGSQL.${port}`)
    : connectTcp(remotePort, remoteAddress);
  quietly(socket);
  const request = message(CANCEL_REQUEST, processID, secretKey);
  if (ssl === false || host.startsWith('/')) {
    socket.end(request);
    return;
  }
  socket.write(message(SSL_REQUEST));
  socket.once('data', (answer: Buffer) => {
    // The key is no secret that may go in clear where the session is encrypted.
    if (answer.toString('latin1') !== 'S') return void socket.destroy();
    const servername = isIP(host) === 0 ? { servername: host } : {};
    // Loaded when it is needed: most sessions are not encrypted, and a program would start later for it.
    void import('node:tls').then(({ connect: connectTls }) => {
      const secure = connectTls({ socket, ...servername, ...(ssl === true ? {} : ssl) });
      quietly(secure);
      secure.end(request);
    });
  });
}

function quietly(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  socket.setTimeout(LIMIT_MS, () => socket.destroy());
  socket.unref();
}

/** Length, code, and numbers of four bytes. */
function message([major, minor]: readonly [number, number], ...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(8 + 4 * numbers.length);
  bytes.writeInt32BE(bytes.length, 0);
  bytes.writeInt16BE(major, 4);
  bytes.writeInt16BE(minor, 6);
  for (const [index, number] of numbers.entries()) bytes.writeInt32BE(number | 0, 8 + 4 * index);
  return bytes;
}
