/**
 * Stands between a connection's socket and node-postgres' parser: passes on whole messages that fit the protocol, and destroys the socket
 * at the first that does not. So the client fails with an error. Its parser would throw in the socket's handler, loop, or buffer without end.
 */

import { readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import {
  ProtocolGuard,
  type AnswerLimits,
  type AuthenticationMethod,
  type StatementKind,
} from './protocol-guard.js';
import type { ProtocolFault } from './protocol-fault.js';
import { LongReport } from './long-report.js';
import { HEADER_BYTES } from './server-message.js';

type DataListener = (chunk: Buffer) => void;

/** What is used of a socket. */
interface GuardableStream {
  readonly bytesWritten?: number;
  readonly destroyed?: boolean;
  listeners(event: 'data'): unknown[];
  on(event: 'data', listener: DataListener): unknown;
  removeListener(event: 'data', listener: DataListener): unknown;
  destroy(error: Error): unknown;
}

type Destroy = (this: Socket, error?: Error) => Socket;

/** Node's own handle of a socket. */
interface SocketHandle {
  readonly fd?: number;
  /** Gets what was received, decrypted; nothing at the end. */
  onread?: ((bytes?: ArrayBuffer) => void) | undefined;
  /** Of TLS: takes encrypted bytes as if they had come from the network. */
  receive?(bytes: Buffer): void;
}

const NO_BYTES = Buffer.alloc(0);
/** The most that is read of what a server had sent before a write to it failed. Its last messages are far shorter. */
const MOST_REST_BYTES = 64 * 1024;
const SMALLEST_HOLD = 1024;
/** ReadyForQuery, ErrorResponse, Authentication, CopyInResponse. */
const TURNING_POINTS: ReadonlySet<number> = new Set([0x5a, 0x45, 0x52, 0x47]);

/** ErrorResponse, NoticeResponse. */
const REPORTS: ReadonlySet<number> = new Set([0x45, 0x4e]);
/** Shorter ones are passed as they are. */
const LONG_REPORT_BYTES = 64 * 1024;

const guards = new WeakMap<object, GuardedSocket>();

export class GuardedSocket {
  readonly #stream: GuardableStream;
  readonly #guard: ProtocolGuard;
  readonly #inner: DataListener[];
  #sentBefore: number;
  /** The beginning of a message that is not whole yet. */
  #held = NO_BYTES;
  #heldBytes = 0;
  /** The long report that begins with what is held. */
  #report: LongReport | undefined;
  #isBroken = false;
  #isRemoved = false;
  #isReadingRest = false;
  #unhook = (): void => undefined;

  readonly #onData: DataListener = (chunk) => {
    this.#receive(chunk);
  };

  private constructor(
    stream: GuardableStream,
    state: 'startup' | 'foreign',
    demanded?: ReadonlySet<AuthenticationMethod>,
  ) {
    this.#stream = stream;
    this.#sentBefore = stream.bytesWritten ?? 0;
    this.#guard = new ProtocolGuard(state, () => (stream.bytesWritten ?? 0) - this.#sentBefore, demanded);
    this.#inner = stream.listeners('data') as DataListener[];
    stream.on('data', this.#onData);
    for (const listener of this.#inner) stream.removeListener('data', listener);
    if (stream instanceof Socket) this.#readRestOf(stream);
    guards.set(stream, this);
  }

  /** Guards a stream from now on. Returns `undefined` if it is guarded already. */
  static install(
    stream: object,
    state: 'startup' | 'foreign',
    demanded?: ReadonlySet<AuthenticationMethod>,
  ): GuardedSocket | undefined {
    if (guards.has(stream) || !isGuardable(stream)) return undefined;
    return new GuardedSocket(stream, state, demanded);
  }

  /** The guard of a stream, if it has one. */
  static of(stream: unknown): GuardedSocket | undefined {
    return typeof stream === 'object' && stream !== null ? guards.get(stream) : undefined;
  }

  /**
   * Reads the server's last messages before the socket is destroyed for an error. A server that ends a session says why, and closes the
   * connection. If a write fails on that first, Node would close the socket with these messages unread.
   */
  #readRestOf(socket: Socket): void {
    const hooked = socket as { destroy: Destroy };
    const { destroy } = hooked;
    const hook: Destroy = (error) => {
      if (error !== undefined && !socket.destroyed && !this.#isBroken && !this.#isReadingRest)
        this.#readRest(socket);
      return destroy.call(socket, error);
    };
    hooked.destroy = hook;
    const unhook = (): void => {
      if (hooked.destroy === hook) hooked.destroy = destroy;
    };
    this.#unhook = unhook;
  }

  #readRest(socket: Socket): void {
    const handle = (socket as unknown as { _handle?: SocketHandle | null })._handle;
    const fd = handle?.fd ?? -1;
    if (fd < 0) return;
    this.#isReadingRest = true;
    const bytes = Buffer.allocUnsafe(MOST_REST_BYTES);
    try {
      const rest = bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, null));
      // Not by its class: `node:tls` takes 2 ms to load.
      if ((socket as Partial<TLSSocket>).encrypted === true) this.#decrypt(handle!, rest);
      else this.#receive(rest);
    } catch {
      // Nothing is there: EAGAIN, or ECONNRESET.
    } finally {
      this.#isReadingRest = false;
    }
  }

  /** The socket itself passes nothing on any more: a write to it has failed. */
  #decrypt(handle: SocketHandle, bytes: Buffer): void {
    const { onread } = handle;
    const receive: SocketHandle['onread'] = (plain) => {
      if (plain !== undefined) this.#receive(Buffer.from(plain));
    };
    handle.onread = receive;
    try {
      handle.receive?.(bytes);
    } finally {
      handle.onread = onread;
    }
  }

  begin(kind: StatementKind, limits?: AnswerLimits): void {
    this.#guard.begin(kind, limits);
  }

  endCopy(): void {
    this.#guard.endCopy();
  }

  release(): void {
    this.#guard.release();
  }

  /** A batch begins: what the server may quote is counted from here. */
  countFromHere(): void {
    this.#sentBefore = this.#stream.bytesWritten ?? 0;
  }

  /** Leaves the stream as it was found. */
  remove(): void {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    guards.delete(this.#stream);
    this.#unhook();
    for (const listener of this.#inner) this.#stream.on('data', listener);
    this.#stream.removeListener('data', this.#onData);
    const rest = this.#report?.beginning() ?? this.#held.subarray(0, this.#heldBytes);
    this.#forget();
    if (rest.length > 0 && !this.#isBroken) this.#pass(rest);
  }

  #receive(chunk: Buffer): void {
    const start = this.#heldBytes > 0 ? this.#complete(chunk) : 0;
    if (start < chunk.length && !this.#isOver) this.#passWhole(chunk, start);
  }

  get #isOver(): boolean {
    return this.#isBroken || this.#stream.destroyed === true;
  }

  /** Completes the message that is held. Returns the place in the chunk behind it. */
  #complete(chunk: Buffer): number {
    let at = 0;
    if (this.#heldBytes < HEADER_BYTES) {
      at = this.#hold(chunk, at, HEADER_BYTES);
      if (this.#heldBytes < HEADER_BYTES || this.#refuseHeader(this.#held, 0)) return at;
    }
    const length = 1 + this.#held.readUInt32BE(1);
    if (length > LONG_REPORT_BYTES && REPORTS.has(this.#held[0]!))
      return this.#completeReport(chunk, at, length);
    at = this.#hold(chunk, at, length);
    if (this.#heldBytes === length) this.#passHeld(this.#held.subarray(0, length), length);
    return at;
  }

  #completeReport(chunk: Buffer, at: number, length: number): number {
    if (this.#report === undefined) {
      this.#report = new LongReport(length);
      this.#report.take(this.#held.subarray(0, this.#heldBytes), 0);
    }
    const end = this.#report.take(chunk, at);
    if (this.#report.isWhole) this.#passHeld(this.#report.message(), length);
    return end;
  }

  /** @param length in which the message was received */
  #passHeld(message: Buffer, length: number): void {
    this.#forget();
    if (!this.#refuse(this.#guard.accept(message, 0, message.length, length))) this.#pass(message);
  }

  #forget(): void {
    this.#held = NO_BYTES;
    this.#heldBytes = 0;
    this.#report = undefined;
  }

  /** Passes on the whole messages of a chunk from `start`, and holds the rest. */
  #passWhole(chunk: Buffer, start: number): void {
    let from = start;
    let at = start;
    while (at + HEADER_BYTES <= chunk.length && !this.#isRemoved) {
      if (this.#refuseHeader(chunk, at)) return;
      const end = at + 1 + chunk.readUInt32BE(at + 1);
      if (end > chunk.length) break;
      if (this.#refuse(this.#guard.accept(chunk, at, end))) return;
      const type = chunk[at]!;
      at = end;
      // What may follow depends on what these make the client send.
      if (!TURNING_POINTS.has(type)) continue;
      this.#pass(chunk.subarray(from, at));
      from = at;
      if (this.#isOver) return;
    }
    if (this.#isRemoved) at = chunk.length;
    if (from < at) this.#pass(chunk.subarray(from, at));
    if (at < chunk.length && !this.#isOver) this.#hold(chunk, at, Infinity);
  }

  /** Holds bytes from `start` on, until `length` bytes are held. Returns the place in the chunk behind them. */
  #hold(chunk: Buffer, start: number, length: number): number {
    const end = Math.min(chunk.length, start + length - this.#heldBytes);
    const held = this.#heldBytes + end - start;
    if (this.#held.length < held) {
      // Only what has come is known to be true.
      const larger = Buffer.allocUnsafeSlow(Math.max(SMALLEST_HOLD, held, Math.min(2 * held, length)));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes = held;
    return end;
  }

  #refuseHeader(bytes: Buffer, at: number): boolean {
    return this.#refuse(this.#guard.check(bytes[at]!, bytes.readUInt32BE(at + 1)));
  }

  #refuse(fault: ProtocolFault | undefined): boolean {
    if (fault === undefined) return false;
    this.#break(fault);
    return true;
  }

  #pass(bytes: Buffer): void {
    try {
      for (const listener of this.#inner) listener.call(this.#stream, bytes);
    } catch (error) {
      this.#break(error as Error);
    }
  }

  #break(error: Error): void {
    this.#isBroken = true;
    this.#forget();
    this.#stream.destroy(error);
  }
}

function isGuardable(stream: object): stream is GuardableStream {
  const { listeners, on, removeListener, destroy } = stream as Partial<GuardableStream>;
  return [listeners, on, removeListener, destroy].every((method) => typeof method === 'function');
}
