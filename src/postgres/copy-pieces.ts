/**
 * COPYs of rows that are there already, as queries of node-postgres. In place of streams, for pieces are many and small: statement, rows
 * and end leave together, without waiting for the server to ask for the rows, and several pieces one after another without waiting for
 * answers. Where a COPY fails, the server passes over what is left of it, as the protocol has it.
 */

import type { ClientLease } from './client-lease.js';
import type { EncodedRows } from './encoded-rows.js';
import { AbortFault, LATE, type Patience } from './patience.js';
import type { CopyClient } from './pool.js';
import { leavesConnectionUsable } from './sqlstate.js';

export interface PieceWay {
  lease: ClientLease<CopyClient>;
  patience: Patience;
  signal: AbortSignal;
}

export interface Piece {
  /** Ends with the COPY. */
  statement: string;
  rows: readonly number[];
  /** Follows them. */
  end?: Buffer;
}

interface PieceClient {
  query(piece: PieceQuery): unknown;
}

/** What a query of node-postgres gets to see of its connection. */
interface PieceConnection {
  readonly stream: { write(bytes: Buffer): boolean };
}

const QUERY = 0x51;
const COPY_DATA = 0x64;
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
/** A message's type and length. */
const HEADER_BYTES = 5;
/** A message is not larger than this; the server takes none of more than 1 GiB. */
const LARGEST_MESSAGE_BYTES = 256 * 1024 * 1024;
/** Pieces are sent together up to about this much: what is sent ahead cannot be taken back. */
const TOGETHER_BYTES = 4 * 1024 * 1024;

/**
 * Sends pieces, and answers for each what the server had against it.
 *
 * @throws what ended the connection, or the wait for its answers; or an `AbortFault`; then the connection is gone, unless the abort came
 * while nothing was under way
 */
export async function copyPieces(
  { lease, patience, signal }: PieceWay,
  pieces: readonly Piece[],
  encoded: EncodedRows,
): Promise<(Error | undefined)[]> {
  const outcomes: (Error | undefined)[] = [];
  for (let next = 0; next < pieces.length;) {
    if (signal.aborted) throw new AbortFault(signal);
    const together: PieceQuery[] = [];
    const messages: Buffer[] = [];
    for (let bytes = 0; next < pieces.length && bytes < TOGETHER_BYTES; next += 1) {
      const from = messages.length;
      appendMessages(messages, pieces[next]!, encoded);
      for (let index = from; index < messages.length; index += 1) bytes += messages[index]!.length;
      together.push(
        new PieceQuery(lease.client as unknown as PieceClient, together.length === 0 ? messages : []),
      );
    }
    for (const [index, piece] of together.entries()) piece.next = together[index + 1];
    together[0]!.begin();
    const answers = await patience.wait(Promise.all(together.map(({ outcome }) => outcome)));
    if (answers === LATE) {
      const fault = new AbortFault(signal);
      // The server is still at it, and there is no word that would stop it.
      lease.discard(fault);
      throw fault;
    }
    // What the server had against the pieces before says nothing any more: another attempt may land their rows.
    const end = answers.find((error) => error !== undefined && !leavesConnectionUsable(error));
    if (end !== undefined) {
      // Where only the wait has ended, answers are still to come, and whatever is asked next would get them.
      lease.discard(end);
      throw end;
    }
    outcomes.push(...answers);
  }
  return outcomes;
}

function appendMessages(messages: Buffer[], { statement, rows, end }: Piece, encoded: EncodedRows): void {
  const text = Buffer.byteLength(statement);
  const query = Buffer.allocUnsafe(HEADER_BYTES + text + 1);
  query[0] = QUERY;
  query.writeUInt32BE(4 + text + 1, 1);
  query.write(statement, HEADER_BYTES);
  query[HEADER_BYTES + text] = 0;
  messages.push(query);
  const data = encoded.join(rows, HEADER_BYTES, end);
  for (let start = HEADER_BYTES; start < data.length; start += LARGEST_MESSAGE_BYTES) {
    const until = Math.min(data.length, start + LARGEST_MESSAGE_BYTES);
    const header = start === HEADER_BYTES ? data : Buffer.allocUnsafe(HEADER_BYTES);
    header[0] = COPY_DATA;
    header.writeUInt32BE(4 + until - start, 1);
    if (start === HEADER_BYTES) messages.push(data.subarray(0, until));
    else messages.push(header, data.subarray(start, until));
  }
  messages.push(COPY_DONE);
}

/** Its answer comes to whatever query is the active one: so each piece begins the next as soon as it has its own. */
class PieceQuery {
  next: PieceQuery | undefined;
  readonly outcome: Promise<Error | undefined>;
  readonly #client: PieceClient;
  readonly #messages: readonly Buffer[];
  #resolve!: (error: Error | undefined) => void;
  #isOver = false;

  /** @param messages to be sent: the first piece sends for all */
  constructor(client: PieceClient, messages: readonly Buffer[]) {
    this.#client = client;
    this.#messages = messages;
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  begin(): void {
    this.#client.query(this);
  }

  // ── called by node-postgres ──

  submit(connection: PieceConnection): void {
    if (this.#messages.length > 0) connection.stream.write(Buffer.concat(this.#messages));
  }

  /** Where `query_timeout` is set, node-postgres puts its own function here, and expects it to be called at the end. */
  callback(): void {
    // Nothing is to be done without a timeout.
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
    // After a `query_timeout` the server may answer all the same.
    if (this.#isOver) return;
    this.#isOver = true;
    this.callback();
    this.#resolve(error);
    if (error === undefined || leavesConnectionUsable(error)) this.next?.begin();
    else for (let { next } = this; next !== undefined; next = next.next) next.#resolve(error);
  }
}
