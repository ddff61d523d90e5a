/** A proxy before a NATS server that leaves out single messages on their way to the client. */

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface LossyNatsProxy {
  readonly port: number;
  /** Is asked about each message from the server, by its reply subject: true leaves it out. */
  loses: (reply: string) => boolean;
  close(): Promise<void>;
}

const LINE_END = '\r\n';

export async function startLossyNatsProxy(port: number): Promise<LossyNatsProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.on('data', (chunk) => upstream.write(chunk)).on('close', () => upstream.destroy());
    let rest = Buffer.alloc(0);
    upstream.on('close', () => client.end());
    upstream.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        const frame = frameOf(rest);
        if (frame === undefined) return;
        rest = rest.subarray(frame.bytes.length);
        if (frame.reply === undefined || !proxy.loses(frame.reply)) client.write(frame.bytes);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: LossyNatsProxy = {
    port: (server.address() as AddressInfo).port,
    loses: () => false,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
  return proxy;
}

/** `MSG <subject> <sid> [reply] <bytes>`, `HMSG <subject> <sid> [reply] <header bytes> <bytes>`, or a line without a body. */
function frameOf(bytes: Buffer): { bytes: Buffer; reply: string | undefined } | undefined {
  const lineEnd = bytes.indexOf(LINE_END);
  if (lineEnd < 0) return undefined;
  const head = lineEnd + LINE_END.length;
  const [kind, ...words] = bytes.toString('latin1', 0, lineEnd).split(' ');
  if (kind !== 'MSG' && kind !== 'HMSG') return { bytes: bytes.subarray(0, head), reply: undefined };
  const end = head + Number(words.at(-1)) + LINE_END.length;
  if (bytes.length < end) return undefined;
  const hasReply = words.length === (kind === 'MSG' ? 4 : 5);
  return { bytes: bytes.subarray(0, end), reply: hasReply ? words[2] : undefined };
}
