/** Records what the server sends beside the responses to statements: why a session ends, and whether a COMMIT has taken effect. */

import { isNativeError } from '../../common/thrown.js';
import type { CopyClient } from '../protocol/pool.js';
import { endsSession, isCommittedLocally } from '../errors/sqlstate.js';

/** The fields of an error or a notice of the server's. */
interface ServerMessage {
  readonly message?: string | undefined;
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly routine?: unknown;
}

/** The parts of node-postgres' client and connection that are listened to. Other clients may have none of them. */
interface Emitter {
  on?(event: string, listener: (message: never) => void): unknown;
  removeListener?(event: string, listener: (message: never) => void): unknown;
}

interface Connection extends Emitter {
  readonly stream?: { readonly bytesWritten?: number };
}

export class SessionWatch {
  /** The server's own error for the end of the session. It may have come as a warning, or while no response was awaited. */
  farewell: Error | undefined;
  /** A COMMIT has taken effect, although the server has stopped waiting for its standby. */
  isCommittedLocally = false;
  /** The tag of the last statement that the server has completed. */
  lastTag: string | undefined;
  readonly #client: Emitter;
  readonly #connection: Connection | undefined;

  readonly #onError = (message: ServerMessage): void => {
    if (endsSession(message)) this.farewell ??= toError(message);
  };

  readonly #onNotice = (message: ServerMessage): void => {
    if (isCommittedLocally(message)) this.isCommittedLocally = true;
    // A server that crashes or stops at once says so by a warning only.
    if (endsSession(message)) this.farewell ??= toError(message);
  };

  readonly #onComplete = ({ text }: { readonly text?: string }): void => {
    this.lastTag = text;
  };

  constructor(client: CopyClient) {
    this.#client = client as unknown as Emitter;
    this.#connection = (client as { connection?: Connection }).connection;
    this.#client.on?.('notice', this.#onNotice);
    this.#connection?.on?.('errorMessage', this.#onError);
    this.#connection?.on?.('commandComplete', this.#onComplete);
  }

  /** Bytes written to the socket. Undefined if that cannot be seen. */
  get bytesSent(): number | undefined {
    return this.#connection?.stream?.bytesWritten;
  }

  end(): void {
    this.#client.removeListener?.('notice', this.#onNotice);
    this.#connection?.removeListener?.('errorMessage', this.#onError);
    this.#connection?.removeListener?.('commandComplete', this.#onComplete);
  }
}

/** Makes an error of a notice. */
function toError(message: ServerMessage): Error {
  return isNativeError(message) ? message : Object.assign(new Error(message.message), { ...message });
}
