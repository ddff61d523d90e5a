/** Asks the server to end the statement that a client waits for: a cancel request, by a connection of its own, as the protocol requires. */

import { connect as connectTcp, isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

/** After this time the request is given up: nobody waits for it. */
const LIMIT_MS = 5_000;
const CANCEL_REQUEST = [1234, 5678] as const;
const SSL_REQUEST = [1234, 5679] as const;

/** The parts of node-postgres' client that identify its session and its server. */
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

/** Never throws. Does nothing for a client that is not node-postgres' and has no key for it. */
export function requestCancel(client: object): void {
  const { host, port, processID, secretKey, ssl = false, connection } = client as CancellableClient;
  if (host === undefined || typeof processID !== 'number' || typeof secretKey !== 'number') return;
  // The address that the session is on: a name may have several.
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
    // If the session is encrypted, its key must not be sent in clear.
    if (answer.toString('latin1') !== 'S') return void socket.destroy();
    const servername = isIP(host) === 0 ? { servername: host } : {};
    // Loaded when it is needed: most sessions are not encrypted, and it would delay a program's start.
    void import('node:tls').then(({ connect: connectTls }) => {
      const secure = connectTls({ socket, ...servername, ...(ssl === true ? {} : ssl) });
      quietly(secure);
      secure.end(request);
    });
  });
}

/**
 * Runs a statement unless the signal has fired. If it fires before the response, asks the server to cancel the statement: it would go on after
 * the connection is closed.
 */
export async function cancelledBy<Answer>(
  signal: AbortSignal,
  client: object,
  run: () => Promise<Answer>,
): Promise<Answer> {
  signal.throwIfAborted();
  const cancel = (): void => requestCancel(client);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await run();
  } finally {
    signal.removeEventListener('abort', cancel);
  }
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
