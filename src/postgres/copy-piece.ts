/**
 * One COPY of rows that are there already, as a query of node-postgres. In place of a stream, for pieces are many and small: the rows leave
 * in a single write as soon as the server asks for them, and the end of the data with them.
 */

import type { ClientLease } from './client-lease.js';
import type { EncodedRows } from './encoded-rows.js';
import { AbortFault, LATE, type Patience } from './patience.js';
import type { CopyClient } from './pool.js';

/** What a query of node-postgres is told, by its connection. */
interface PieceConnection {
  query(text: string): void;
  readonly stream: { write(bytes: Buffer): boolean; cork(): void; uncork(): void };
}

const COPY_DATA = 0x64;
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
/** Message type and length. */
const HEADER_BYTES = 5;
/** A message is not larger than this; the server takes none of more than 1 GiB. */
const LARGEST_MESSAGE_BYTES = 256 * 1024 * 1024;

class CopyPiece {
  readonly outcome: Promise<void>;
  readonly #statement: string;
  readonly #bytes: Buffer;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  /** @param bytes the rows, behind room for a header and before room for the end of the data */
  constructor(statement: string, bytes: Buffer) {
    this.#statement = statement;
    this.#bytes = bytes;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  // ── called by node-postgres ──

  submit(connection: PieceConnection): void {
    connection.query(this.#statement);
  }

  /** Where `query_timeout` is set, node-postgres puts its own function here, and expects it to be called at the end. */
  callback(): void {
    // Nothing is to be done without a timeout.
  }

  handleCopyInResponse(connection: PieceConnection): void {
    const bytes = this.#bytes;
    const dataBytes = bytes.length - HEADER_BYTES - COPY_DONE.length;
    COPY_DONE.copy(bytes, HEADER_BYTES + dataBytes);
    if (dataBytes <= LARGEST_MESSAGE_BYTES) {
      writeHeader(bytes, 0, dataBytes);
      connection.stream.write(bytes);
      return;
    }
    connection.stream.cork();
    for (let start = 0; start < dataBytes; start += LARGEST_MESSAGE_BYTES) {
      const length = Math.min(LARGEST_MESSAGE_BYTES, dataBytes - start);
      const header = Buffer.allocUnsafe(HEADER_BYTES);
      writeHeader(header, 0, length);
      connection.stream.write(header);
      connection.stream.write(bytes.subarray(HEADER_BYTES + start, HEADER_BYTES + start + length));
    }
    connection.stream.write(COPY_DONE);
    connection.stream.uncork();
  }

  handleCommandComplete(): void {
    // The answer is complete with ReadyForQuery.
  }

  handleError(error: Error): void {
    this.callback();
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.callback();
    this.#resolve();
  }
}

function writeHeader(bytes: Buffer, at: number, dataBytes: number): void {
  bytes[at] = COPY_DATA;
  bytes.writeUInt32BE(dataBytes + 4, at + 1);
}

/** Sends `statement`, which ends with the COPY, and the rows. Resolves when the server has taken all of them. */
export async function copyPiece(
  lease: ClientLease<CopyClient>,
  patience: Patience,
  signal: AbortSignal,
  statement: string,
  encoded: EncodedRows,
  rows: readonly number[],
): Promise<void> {
  if (signal.aborted) throw new AbortFault(signal);
  const piece = new CopyPiece(statement, encoded.join(rows, HEADER_BYTES, COPY_DONE.length));
  (lease.client.query as unknown as (this: CopyClient, piece: CopyPiece) => unknown).call(
    lease.client,
    piece,
  );
  const answer = await patience.wait(piece.outcome);
  if (answer !== LATE) return;
  const fault = new AbortFault(signal);
  // The server is still at it, and there is no word that would stop it.
  lease.discard(fault);
  throw fault;
}
