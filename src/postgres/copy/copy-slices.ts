/**
 * Sends COPYs of rows that are written already, as queries of node-postgres.
 *
 *     Query(COPY) CopyData… CopyDone   Query(COPY) CopyData… CopyDone   …      one write, no wait for a response in between
 *
 * Slices are many and small, so streams would cost a round trip each. If a COPY fails, the server skips the rest of its data, as the protocol
 * requires.
 *
 * Source: PostgreSQL manual, "Message Flow", "COPY Operations".
 */

import { MIB } from '../../common/bytes.js';
import type { WorkPacer } from '../../common/turn-budget.js';
import type { ClientLease } from '../connection/client-lease.js';
import { GuardedSocket } from '../protocol/guarded-socket.js';
import { refuseUnexpected } from '../protocol/refuse-unexpected.js';
import type { EncodedRows } from '../rows/encoded-rows.js';
import { AbortFault, TIMED_OUT, type AnswerDeadline } from '../connection/answer-deadline.js';
import type { CopyClient } from '../protocol/pool.js';
import type { Statement } from '../sql/statement.js';
import { leavesConnectionUsable } from '../errors/sqlstate.js';

export interface SliceContext {
  lease: ClientLease<CopyClient>;
  answerDeadline: AnswerDeadline;
  signal: AbortSignal;
  buffer: SendBuffer;
  /** Of the work on what is sent together. */
  pacer: WorkPacer;
  /** Called with the first value of each row that a statement behind a COPY returns. */
  onValue?: ((value: string | null) => void) | undefined;
}

export interface Slice {
  /** Holds the COPY, and statements that run before and after it. */
  statement: Statement;
  rows: readonly number[];
  /** Follows them. */
  end?: Buffer;
}

interface SliceClient {
  query(slice: SliceQuery): unknown;
}

interface SliceStream {
  destroy(error: Error): unknown;
  write(bytes: Buffer, onWritten?: () => void): boolean;
  cork?(): void;
  uncork?(): void;
}

/** What a query of node-postgres gets to see of its connection. */
interface SliceConnection {
  readonly stream: SliceStream;
}

const QUERY = 0x51;
const COPY_DATA = 0x64;
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
const NO_BYTES = Buffer.alloc(0);
/** A message's type and length. */
const HEADER_BYTES = 5;
/** A message is not larger than this; the server takes none of more than 1 GiB. */
const LARGEST_MESSAGE_BYTES = 256 * MIB;
/** Slices are sent together up to this size: data that was sent ahead cannot be taken back. A longer one is sent alone. */
const TOGETHER_BYTES = 4 * MIB;

/**
 * Sends slices, and returns the server's error for each, or undefined.
 *
 * @throws the error that ended the connection or the wait for responses, or an `AbortFault`. Then the connection is discarded, unless the
 * abort came while nothing was under way.
 */
export async function copySlices(
  { lease, answerDeadline, signal, buffer, pacer, onValue }: SliceContext,
  slices: readonly Slice[],
  encoded: EncodedRows,
): Promise<(Error | undefined)[]> {
  const outcomes: (Error | undefined)[] = [];
  for (let next = 0; next < slices.length;) {
    if (signal.aborted) throw new AbortFault(signal);
    const first = next;
    let length = 0;
    do {
      length += bytesOf(slices[next]!, encoded);
      next += 1;
    } while (next < slices.length && length + bytesOf(slices[next]!, encoded) <= TOGETHER_BYTES);
    const isLong = length > TOGETHER_BYTES;
    const bytes = isLong ? NO_BYTES : buffer.take(length);
    const together: SliceQuery[] = [];
    let end = 0;
    for (const slice of slices.slice(first, next)) {
      if (!isLong) end = write(slice, encoded, bytes, end);
      together.push(new SliceQuery(lease.client as unknown as SliceClient, onValue));
      if (pacer.isTurnSpent()) await pacer.nextTurn();
    }
    for (const [index, slice] of together.entries()) slice.next = together[index + 1];
    const send: SliceQuery['sends'] = isLong
      ? (stream) => sendLong(slices[first]!, encoded, stream)
      : (stream) => stream.write(bytes, () => buffer.free(bytes));
    together[0]!.sends = send;
    together[0]!.begin();
    const answers = await answerDeadline.wait(Promise.all(together.map(({ outcome }) => outcome)));
    if (answers === TIMED_OUT) {
      const fault = new AbortFault(signal);
      // The server is still working, and no message of the protocol would stop it.
      lease.discard(fault);
      throw fault;
    }
    // Errors of the slices before it no longer matter: another attempt may insert their rows.
    const ending = answers.find((error) => error !== undefined && !leavesConnectionUsable(error));
    if (ending !== undefined) {
      // If only the wait has ended, responses are still to come, and the next statement would get them.
      lease.discard(ending);
      throw ending;
    }
    outcomes.push(...answers);
  }
  return outcomes;
}

function bytesOf({ statement, rows, end = NO_BYTES }: Slice, encoded: EncodedRows): number {
  const data = encoded.bytesOf(rows) + end.length;
  return 2 * HEADER_BYTES + Buffer.byteLength(statement) + 1 + data + COPY_DONE.length;
}

/** Writes the messages of a slice. Returns the place behind them. */
function write(
  { statement, rows, end = NO_BYTES }: Slice,
  encoded: EncodedRows,
  to: Buffer,
  start: number,
): number {
  const text = to.write(statement, start + HEADER_BYTES);
  to[start + HEADER_BYTES + text] = 0;
  writeHeader(to, start, QUERY, text + 1);
  const header = start + HEADER_BYTES + text + 1;
  let at = encoded.write(rows, to, header + HEADER_BYTES);
  at += end.copy(to, at);
  writeHeader(to, header, COPY_DATA, at - header - HEADER_BYTES);
  return at + COPY_DONE.copy(to, at);
}

/** Sends a slice without a copy of its rows, one of which may be as long as all other memory of a load. */
function sendLong(
  { statement, rows, end = NO_BYTES }: Slice,
  encoded: EncodedRows,
  stream: SliceStream,
): void {
  const send = (type: number, bytes: Buffer): void => {
    const header = Buffer.alloc(HEADER_BYTES);
    writeHeader(header, 0, type, bytes.length);
    stream.write(header);
    stream.write(bytes);
  };
  stream.cork?.();
  send(QUERY, Buffer.from(`${statement}\0`));
  for (const rowsTogether of [...encoded.slicesOf(rows), end]) {
    for (let at = 0; at < rowsTogether.length; at += LARGEST_MESSAGE_BYTES)
      send(COPY_DATA, rowsTogether.subarray(at, at + LARGEST_MESSAGE_BYTES));
  }
  stream.write(COPY_DONE);
  stream.uncork?.();
}

function writeHeader(to: Buffer, at: number, type: number, bytes: number): void {
  to[at] = type;
  to.writeUInt32BE(4 + bytes, at + 1);
}

/** What is sent for a batch, again and again: one slice of memory, as long as none of it is on its way. */
export class SendBuffer {
  #bytes = NO_BYTES;
  #isFree = true;

  /** Until `free()` they are the caller's. */
  take(length: number): Buffer {
    if (!this.#isFree || this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(length);
    this.#isFree = false;
    return this.#bytes.subarray(0, length);
  }

  free(bytes: Buffer): void {
    if (bytes.buffer === this.#bytes.buffer) this.#isFree = true;
  }
}

/** A slice as a query. Responses go to the active query, so each slice begins the next one as soon as it has its own response. */
class SliceQuery {
  next: SliceQuery | undefined;
  /** The first slice sends for all. */
  sends: ((stream: SliceStream) => void) | undefined;
  readonly outcome: Promise<Error | undefined>;
  readonly #client: SliceClient;
  readonly #onValue: SliceContext['onValue'];
  #resolve!: (error: Error | undefined) => void;
  #isOver = false;
  #connection: SliceConnection | undefined;

  constructor(client: SliceClient, onValue: SliceContext['onValue']) {
    this.#client = client;
    this.#onValue = onValue;
    refuseUnexpected(this, () => this.#connection);
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  begin(): void {
    this.#client.query(this);
  }

  // ── called by node-postgres ──

  submit(connection: SliceConnection): void {
    this.#connection = connection;
    GuardedSocket.of(connection.stream)?.begin('sentCopy');
    this.sends?.(connection.stream);
  }

  /** If `query_timeout` is set, node-postgres puts its own function here, and expects it to be called at the end. */
  callback(): void {
    // Nothing is to be done without a timeout.
  }

  handleRowDescription(): void {
    // The first column is the one.
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    this.#onValue?.(fields[0] ?? null);
  }

  handleCopyInResponse(): void {
    // The rows are on their way already.
  }

  handleCommandComplete(): void {
    // The answer is complete with ReadyForQuery.
  }

  handleError(error: Error): void {
    this.#end(error);
  }

  handleReadyForQuery(): void {
    this.#end(undefined);
  }

  #end(error: Error | undefined): void {
    // After a `query_timeout` the server may still respond.
    if (this.#isOver) return;
    this.#isOver = true;
    this.callback();
    this.#resolve(error);
    if (error === undefined || leavesConnectionUsable(error)) this.next?.begin();
    else for (let { next } = this; next !== undefined; next = next.next) next.#resolve(error);
  }
}
