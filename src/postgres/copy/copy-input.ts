/**
 * One `COPY … FROM STDIN`: the stream of pg-copy-streams, with its traps closed.
 *
 * - After an error of the server's the stream is neither destroyed nor closed, and writes to it throw or are never answered: every write
 *   is guarded, nothing here waits for 'close', and the stream is destroyed at once, or its listener on the socket would throw later.
 * - A failing stream is never ended: the server would take what it has for the whole.
 * - A server that has stopped answering gives no event at all: every wait here ends with the first error, and the caller can be that.
 */

import type { Writable } from 'node:stream';
import { from } from 'pg-copy-streams';
import { MIB } from '../../common/bytes.js';
import { GuardedSocket } from '../protocol/guarded-socket.js';
import { refuseUnexpected, unexpected } from '../protocol/refuse-unexpected.js';
import type { CopyClient } from '../protocol/pool.js';
import type { Statement } from '../sql/statement.js';

/** How much may wait for the socket; rows are also encoded ahead up to this, while the server is still opening the COPY. */
const AHEAD_BYTES = MIB;
/** A row larger than this goes out in pieces: the server takes no message of more than 1 GiB. */
const LARGEST_WRITE_BYTES = 4 * MIB;

/** What a query of node-postgres gets to see of its connection. */
interface CopyConnection {
  readonly stream: { destroy: (error: Error) => unknown };
}

/** What node-postgres and pg-copy-streams have of each other. */
interface CopyQuery {
  submit(connection: CopyConnection): void;
  handleReadyForQuery(): void;
  handleRowDescription?(): void;
  handleDataRow?(row: { fields: readonly (string | null)[] }): void;
}

interface Waiter {
  resolve: () => void;
  reject: (error: Error) => void;
}

const ignoreColumns = (): void => undefined;

export class CopyInput {
  readonly #stream: Writable;
  #failure: Error | undefined;
  #waiter: Waiter | undefined;
  #stage: 'open' | 'ending' | 'finished' = 'open';
  #connection: CopyConnection | undefined;
  /** Settles when the server has responded to a COPY that failed or was given up. */
  readonly #answer: Promise<Error | undefined>;

  /**
   * Sends `statement` at once; rows may follow before the server has answered.
   *
   * @param onValue gets the first value of each row that a statement behind the COPY returns. Default: there is none.
   */
  constructor(client: CopyClient, statement: Statement, onValue?: (value: string | null) => void) {
    const stream = from(statement, { highWaterMark: AHEAD_BYTES });
    this.#stream = stream;
    this.#watch(stream as unknown as CopyQuery, onValue);
    this.#answer = new Promise((resolve) => {
      stream.once('error', resolve);
      stream.once('close', () => {
        resolve(undefined);
      });
    });
    stream.on('error', (error: Error) => {
      this.fail(error);
      // After the stream's own clean-up, for it forgets its connection only then.
      process.nextTick(() => stream.destroy());
    });
    stream.on('drain', () => this.#waiter?.resolve());
    stream.on('finish', () => {
      this.#stage = 'finished';
      this.#waiter?.resolve();
    });
    (client.query as unknown as (this: CopyClient, stream: Writable) => unknown).call(client, stream);
  }

  /** @throws what made the COPY fail, if it has */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Returns a promise if the caller has to wait before it goes on. @throws what made the COPY fail */
  write(bytes: Buffer): Promise<void> | undefined {
    let mayGoOn = true;
    for (let start = 0; start < bytes.length; start += LARGEST_WRITE_BYTES) {
      this.check();
      try {
        mayGoOn = this.#stream.write(bytes.subarray(start, start + LARGEST_WRITE_BYTES));
      } catch (error) {
        this.fail(error as Error);
      }
    }
    this.check();
    return mayGoOn ? undefined : this.#wait();
  }

  /** Ends the data, and waits until the server has taken all of it and is ready for the next statement. */
  async finish(): Promise<void> {
    this.check();
    this.#stage = 'ending';
    GuardedSocket.of(this.#connection?.stream)?.endCopy();
    this.#stream.end();
    await this.#wait(() => this.#stage === 'finished');
  }

  /** Rows that the server has counted; 0 before the end. */
  get rowCount(): number {
    return (this.#stream as unknown as { rowCount: number }).rowCount;
  }

  /** Ends every wait with `error`. The first one stays. */
  fail(error: Error): void {
    if (this.#stage === 'finished') return;
    this.#failure ??= error;
    this.#waiter?.reject(this.#failure);
  }

  /**
   * Gives up a COPY that failed on our side, and returns the server's error for that. Waits for as long as the server is silent. Returns
   * `undefined` once the data's end was sent: then only closing the connection is left.
   */
  async abandon(): Promise<Error | undefined> {
    if (this.#stage !== 'open') return undefined;
    this.#stream.destroy(new Error('the batch was given up'));
    return this.#answer;
  }

  /** Guards the stream's methods as a query: for messages that do not fit, they would throw in the socket's handler. */
  #watch(query: CopyQuery, onValue: ((value: string | null) => void) | undefined): void {
    if (onValue !== undefined) {
      const onRow: CopyQuery['handleDataRow'] = ({ fields }) => {
        onValue(fields[0] ?? null);
      };
      query.handleRowDescription = ignoreColumns;
      query.handleDataRow = onRow;
    }
    const submit = query.submit.bind(query);
    const watchedSubmit: CopyQuery['submit'] = (connection) => {
      this.#connection = connection;
      // It may have waited behind another one, with all of its rows.
      GuardedSocket.of(connection.stream)?.begin(this.#stage === 'open' ? 'copyQuery' : 'sentCopy');
      submit(connection);
    };
    query.submit = watchedSubmit;
    const ready = query.handleReadyForQuery.bind(query);
    const watchedReady = (): void => {
      try {
        if (this.#stage !== 'ending') throw unexpected('ReadyForQuery');
        // It throws if the end of the rows has not been sent.
        ready();
      } catch (error) {
        this.#connection?.stream.destroy(error as Error);
      }
    };
    query.handleReadyForQuery = watchedReady;
    refuseUnexpected(query, () => this.#connection);
  }

  async #wait(isOver?: () => boolean): Promise<void> {
    do {
      await new Promise<void>((resolve, reject) => {
        this.#waiter = { resolve, reject };
      });
      this.#waiter = undefined;
    } while (isOver !== undefined && !isOver());
  }
}
