/** A server that says what a test tells it to, for logins that no real PostgreSQL would ask for. */

import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

/** A message of PostgreSQL's protocol. */
export function message(type: string, ...parts: (string | number | Buffer)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(`${part}\0`);
      if (typeof part !== 'number') return part;
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(part);
      return bytes;
    }),
  );
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export const LOGIN_OK = message('R', 0);
export const READY = message('Z', Buffer.from('I'));
export const ASK_CLEARTEXT = message('R', 3);
export const ASK_MD5 = message('R', 5, Buffer.from('salt'));
export const ASK_SCRAM = message('R', 10, 'SCRAM-SHA-256', Buffer.from('\0'));

export interface ScriptedServer {
  readonly port: number;
  /** Types of the messages that came after the start-up packet: `p` is a password. */
  readonly heard: string[];
  /** All bytes that came. */
  readonly bytes: Buffer[];
  /** How many connections were made. */
  readonly connections: number;
  close(): Promise<void>;
}

/**
 * @param answers what is sent after the start-up packet, and then after each message
 * @param answerToTls to a request for TLS. Default: there is none.
 */
export async function startScriptedServer(
  answers: readonly Buffer[],
  answerToTls: Buffer = Buffer.from('N'),
): Promise<ScriptedServer> {
  let connections = 0;
  const heard: string[] = [];
  const bytes: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    connections += 1;
    let step = 0;
    let rest = Buffer.alloc(0);
    let isStarted = false;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      bytes.push(chunk);
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        const headLength = isStarted ? 1 : 0;
        if (rest.length < headLength + 4) return;
        const length = headLength + rest.readInt32BE(headLength);
        if (rest.length < length) return;
        const isTlsRequest = !isStarted && length === 8;
        if (isStarted) heard.push(String.fromCharCode(rest[0]!));
        rest = rest.subarray(length);
        if (isTlsRequest) {
          socket.write(answerToTls);
          continue;
        }
        isStarted = true;
        const answer = answers[step];
        step += 1;
        if (answer !== undefined) socket.write(answer);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    heard,
    bytes,
    get connections() {
      return connections;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
