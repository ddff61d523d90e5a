/**
 * Sends a statement of ours as a query of node-postgres, in place of its own `Query`. The response is bounded. Its values are the server's
 * text, whatever type parsers the user has set. A message that does not fit ends the connection with an error, and throws nothing.
 */

import { GuardedSocket } from './guarded-socket.js';
import type { AnswerLimits } from './protocol-guard.js';
import { refuseUnexpected } from './refuse-unexpected.js';
import type { CopyClient } from './pool.js';

export interface Answer {
  rows: Record<string, string | null>[];
  /** The first word of the last CommandComplete: `COMMIT`, `SELECT` … */
  command: string;
}

/** What a query gets to see of node-postgres' connection. */
interface QueryConnection {
  readonly stream: { destroy: (error: Error) => unknown; cork?: () => void; uncork?: () => void };
  query(text: string): void;
  parse(message: { text: string; name: string }): void;
  bind(message: { values: readonly (string | null)[] }): void;
  describe(message: { type: 'P'; name: string }): void;
  execute(message: { portal: string }): void;
  sync(): void;
}

interface QueryClient {
  readonly connection: QueryConnection;
  query(query: OwnQuery): unknown;
}

/** Sends a statement. A client that is not node-postgres' own gets it by its `query`. */
export function ask(
  client: Pick<CopyClient, 'query'>,
  text: string,
  values: readonly unknown[] = [],
  limits?: AnswerLimits,
): Promise<Answer> {
  if (!takesQueries(client)) {
    const answer = values.length === 0 ? client.query(text) : client.query(text, [...values]);
    return answer as Promise<Answer>;
  }
  return new Promise((resolve, reject) => {
    client.query(new OwnQuery(text, (values as OwnValue[]).map(toText), limits, resolve, reject));
  });
}

/** Statements that are not ours may follow on the client, until the next one of ours. */
export function expectOtherStatements(client: object): void {
  GuardedSocket.of((client as Partial<QueryClient>).connection?.stream)?.release();
}

function takesQueries(client: unknown): client is QueryClient {
  const { connection } = client as Partial<QueryClient>;
  return typeof connection?.parse === 'function' && typeof connection.stream === 'object';
}

/** A value of a statement of ours. */
type OwnValue = string | number | bigint | null | undefined | readonly OwnValue[];

function toText(value: OwnValue): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== 'object') return String(value);
  const elements = value.map((element) => {
    const text = toText(element);
    return text === null ? 'NULL' : `"${text.replace(/[\\"]/g, '\\$&')}"`;
  });
  return `{${elements.join(',')}}`;
}

class OwnQuery {
  readonly text: string;
  readonly #values: readonly (string | null)[];
  readonly #limits: AnswerLimits | undefined;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: Error) => void;
  readonly #answer: Answer = { rows: [], command: '' };
  #names: string[] = [];
  #connection: QueryConnection | undefined;

  constructor(
    text: string,
    values: readonly (string | null)[],
    limits: AnswerLimits | undefined,
    resolve: (answer: Answer) => void,
    reject: (error: Error) => void,
  ) {
    this.text = text;
    this.#values = values;
    this.#limits = limits;
    this.#resolve = resolve;
    this.#reject = reject;
    refuseUnexpected(this, () => this.#connection);
  }

  // ── called by node-postgres ──

  submit(connection: QueryConnection): undefined {
    this.#connection = connection;
    const guard = GuardedSocket.of(connection.stream);
    if (this.#values.length === 0) {
      guard?.begin('query', this.#limits);
      connection.query(this.text);
      return;
    }
    guard?.begin('parse', this.#limits);
    connection.stream.cork?.();
    connection.parse({ text: this.text, name: '' });
    connection.bind({ values: this.#values });
    connection.describe({ type: 'P', name: '' });
    connection.execute({ portal: '' });
    connection.sync();
    connection.stream.uncork?.();
  }

  /** If `query_timeout` is set, node-postgres puts its own function here, and expects it to be called at the end. */
  callback(): void {
    // Nothing is to be done without a timeout.
  }

  handleRowDescription({ fields }: { fields: { name: string }[] }): void {
    this.#names = fields.map(({ name }) => name);
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    this.#answer.rows.push(Object.fromEntries(this.#names.map((name, at) => [name, fields[at] ?? null])));
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#answer.command = /^\w*/.exec(text)?.[0] ?? '';
  }

  handleEmptyQuery(): void {
    // Nothing was asked.
  }

  handleError(error: Error): void {
    this.callback();
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.callback();
    this.#resolve(this.#answer);
  }
}
