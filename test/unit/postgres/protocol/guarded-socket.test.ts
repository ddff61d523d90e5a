import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GuardedSocket } from '../../../../src/postgres/protocol/guarded-socket.js';
import {
  dataRow,
  int32,
  MESSAGES,
  message,
  ready,
  report,
  rowDescription,
} from '../../../support/server-bytes.js';

class FakeSocket extends EventEmitter {
  readonly received: Buffer[] = [];
  destroyed = false;
  error: Error | undefined;

  constructor() {
    super();
    this.on('data', this.listener);
  }

  readonly listener = (chunk: Buffer): void => {
    this.received.push(Buffer.from(chunk));
  };

  destroy(error: Error): void {
    this.destroyed = true;
    this.error ??= error;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

function guarded(): { socket: FakeSocket; guard: GuardedSocket } {
  const socket = new FakeSocket();
  return { socket, guard: GuardedSocket.install(socket, 'foreign')! };
}

/** Cut at random places. */
const cuts = (bytes: Buffer) =>
  fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 12 }).map((places) => {
    const at = [0, ...places.toSorted((a, b) => a - b), bytes.length];
    return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
  });

describe('a guarded socket', () => {
  const answer = Buffer.concat([
    rowDescription('a', 'b'),
    dataRow('1', null),
    MESSAGES.NoticeResponse,
    dataRow('x'.repeat(3_000), ''),
    message('C', 'SELECT 2'),
    ready('T'),
  ]);

  test('whole messages pass, however the bytes were cut', () => {
    fc.assert(
      fc.property(cuts(answer), (chunks) => {
        const { socket, guard } = guarded();
        guard.begin('query');
        for (const chunk of chunks) socket.emit('data', chunk);
        expect(socket.bytes.equals(answer)).toBe(true);
        expect(socket.error).toBeUndefined();
      }),
    );
  });

  test('nothing of a message that does not fit passes, and nothing after it', () => {
    fc.assert(
      fc.property(cuts(Buffer.concat([answer, MESSAGES.ReadyForQuery, answer])), (chunks) => {
        const { socket, guard } = guarded();
        guard.begin('query');
        for (const chunk of chunks) socket.emit('data', chunk);
        expect(socket.bytes.equals(answer)).toBe(true);
        expect(socket.error).toMatchObject({ code: 'ERR_BACKPRESSURE_PROTOCOL' });
      }),
    );
  });

  test('a gigabyte that is announced is refused with its header', () => {
    const { socket, guard } = guarded();
    guard.begin('query');
    socket.emit('data', Buffer.concat([Buffer.from('E'), int32(0x3fffffff)]));
    expect(socket.error?.message).toContain('ErrorResponse of 1073741819 bytes');
  });

  test('a statement that is begun while its predecessor ends is judged by its own state', () => {
    const socket = new FakeSocket();
    let begun = 0;
    socket.on('data', (chunk: Buffer) => {
      if (!chunk.includes(ready('T'))) return;
      begun += 1;
      GuardedSocket.of(socket)!.begin('sentCopy');
    });
    GuardedSocket.install(socket, 'foreign')!.begin('sentCopy');
    const copied = Buffer.concat([MESSAGES.CopyInResponse, message('C', 'COPY 1'), ready('T')]);
    socket.emit('data', Buffer.concat([copied, copied, copied]));
    expect(socket.error).toBeUndefined();
    expect(begun).toBe(3);
  });

  test('what throws behind it ends the connection, and not the process', () => {
    const socket = new FakeSocket();
    socket.removeAllListeners('data');
    socket.on('data', () => {
      throw new Error('a parser that stumbles');
    });
    GuardedSocket.install(socket, 'foreign');
    socket.emit('data', ready());
    expect(socket.error?.message).toBe('a parser that stumbles');
  });

  test('a guard that is removed leaves the socket as it was, and passes on what it held', () => {
    const { socket, guard } = guarded();
    socket.emit('data', answer.subarray(0, answer.length - 3));
    guard.remove();
    expect(socket.listeners('data')).toEqual([socket.listener]);
    socket.emit('data', answer.subarray(answer.length - 3));
    expect(socket.bytes.equals(answer)).toBe(true);
    expect(GuardedSocket.of(socket)).toBeUndefined();
  });

  test('a long report arrives shortened, and what stands around it as it was sent', () => {
    const long = report('E', '22P02', 'é'.repeat(200_000));
    const error = message('E', 'SERROR', 'VERROR', 'C22P02', `M${'é'.repeat(16_383)}…`, Buffer.from([0]));
    fc.assert(
      fc.property(cuts(Buffer.concat([MESSAGES.NoticeResponse, long, ready('E')])), (chunks) => {
        const { socket, guard } = guarded();
        guard.begin('query');
        // A message that comes in one chunk is held once only, and passes as it is.
        for (const chunk of chunks)
          for (let at = 0; at < chunk.length; at += 60_000)
            socket.emit('data', chunk.subarray(at, at + 60_000));
        expect(socket.error).toBeUndefined();
        expect(socket.bytes.equals(Buffer.concat([MESSAGES.NoticeResponse, error, ready('E')]))).toBe(true);
      }),
    );
  });

  test('long notices count as they were sent, not as they were shortened', () => {
    const { socket, guard } = guarded();
    guard.begin('query');
    const notice = report('N', '00000', 'x'.repeat(4 * 1024 * 1024 - 1000), 'NOTICE');
    for (let sent = 0; sent < 17; sent += 1) {
      socket.emit('data', notice.subarray(0, 5));
      socket.emit('data', notice.subarray(5));
    }
    expect(socket.error?.message).toContain('NoticeResponse without end');
  });

  test('a guard that is removed within a long report passes on its full length', () => {
    const { socket, guard } = guarded();
    const notice = report('N', '00000', 'x'.repeat(200_000), 'NOTICE');
    socket.emit('data', notice.subarray(0, 150_000));
    socket.emit('data', notice.subarray(150_000, 160_000));
    guard.remove();
    socket.emit('data', Buffer.concat([notice.subarray(160_000), ready()]));
    expect(socket.bytes.length).toBe(notice.length + ready().length);
    expect(socket.bytes.subarray(0, 5)).toEqual(notice.subarray(0, 5));
    expect(socket.bytes.subarray(-ready().length - 1)).toEqual(Buffer.concat([Buffer.from([0]), ready()]));
  });

  test('whatever bytes come: nothing throws, and no more is held than was received', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (chunks) => {
        const { socket, guard } = guarded();
        guard.begin('copyQuery');
        for (const chunk of chunks) socket.emit('data', Buffer.from(chunk));
        expect(socket.bytes.length).toBeLessThanOrEqual(chunks.reduce((sum, { length }) => sum + length, 0));
      }),
    );
  });
});
