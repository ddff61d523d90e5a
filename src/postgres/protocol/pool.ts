/** The parts of node-postgres that `copyInto` uses, so that its types need no import of `pg`. A `pg.Pool` fits as it is. */

/** A client that a pool lends. Its whole interface stays visible to `beforeCommit`. */
export interface CopyClient {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; command: string }>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
  /** With an error (or `true`) the pool ends the connection instead of lending it again. */
  release(error?: Error | boolean): void;
}

/** A `pg.Pool`, or anything that lends its clients in the same way. */
export interface CopyPool<Client extends CopyClient = CopyClient> {
  /** The second form is that of a `pg.Pool`. It is used if the function has a parameter; it may return a promise nevertheless. */
  connect: { (): Promise<Client>; (callback: never): void } | (() => Promise<Client>);
  readonly options?: { readonly max?: number | undefined };
}
