/**
 * Decides whether a message of a server fits the state of the protocol. Pure: it reads no socket and no clock.
 *
 * The state follows what is sent (`begin`, `endCopy`, `release`) and what is received (`check` for a header, `accept` for a whole message).
 *
 *     startup → password | sasl → saslContinued → saslFinal → welcomed → foreign
 *     idle → query → rows → complete → idle                       a statement, or several
 *     idle → copyQuery → copyIn → copyEnding → complete → idle    … that ends with COPY FROM STDIN
 *     idle → sentCopy → copyEnding → complete → idle              … whose rows are sent already
 *     idle → parse → bind → describe → execute | executeRows → done → idle
 *     any of a statement → failed → idle                          after ErrorResponse
 *     foreign                                                     statements of the user's own, of any kind
 *
 * Source: PostgreSQL manual, "Message Flow".
 */

import { MIB } from '../../common/bytes.js';
import { ProtocolFault } from './protocol-fault.js';
import { HEADER_BYTES, messageKind, type MessageName } from './server-message.js';

export type ProtocolState =
  | 'startup'
  | 'password'
  | 'sasl'
  | 'saslContinued'
  | 'saslFinal'
  | 'welcomed'
  | 'idle'
  | 'foreign'
  | 'query'
  | 'rows'
  | 'complete'
  | 'copyQuery'
  | 'copyIn'
  | 'sentCopy'
  | 'copyEnding'
  | 'parse'
  | 'bind'
  | 'describe'
  | 'execute'
  | 'executeRows'
  | 'done'
  | 'failed'
  | 'ended';

/** What a statement of ours begins with. */
export type StatementKind = 'query' | 'copyQuery' | 'sentCopy' | 'parse';

export type AuthenticationMethod = 'none' | 'password' | 'md5' | 'scram-sha-256';

type AuthenticationName =
  'AuthenticationOk' | 'CleartextPassword' | 'MD5Password' | 'SASL' | 'SASLContinue' | 'SASLFinal';

type EventName = Exclude<MessageName, 'Authentication'> | AuthenticationName;

const AUTHENTICATION: Readonly<Record<number, AuthenticationName>> = {
  0: 'AuthenticationOk',
  3: 'CleartextPassword',
  5: 'MD5Password',
  10: 'SASL',
  11: 'SASLContinue',
  12: 'SASLFinal',
};

/** The method that an authentication request stands for in state `startup`. */
const METHODS: Readonly<Partial<Record<EventName, AuthenticationMethod>>> = {
  AuthenticationOk: 'none',
  CleartextPassword: 'password',
  MD5Password: 'md5',
  SASL: 'scram-sha-256',
};

type Transitions = Readonly<Partial<Record<EventName, ProtocolState>>>;

/** Legal whenever a session is open; the state stays. */
const ASIDES: ReadonlySet<EventName> = new Set(['NoticeResponse', 'ParameterStatus', 'NotificationResponse']);

const FOREIGN: readonly EventName[] = [
  ...['BindComplete', 'CloseComplete', 'CommandComplete', 'CopyData', 'CopyDone', 'CopyInResponse'],
  ...['CopyOutResponse', 'DataRow', 'EmptyQueryResponse', 'ErrorResponse', 'NoData', 'ParameterDescription'],
  ...['ParseComplete', 'PortalSuspended', 'ReadyForQuery', 'RowDescription'],
] as EventName[];

/** The states before a session is open: only these take no notification. */
const LOGIN: ReadonlySet<ProtocolState> = new Set([
  'startup',
  'password',
  'sasl',
  'saslContinued',
  'saslFinal',
]);

/** What each state takes, and the state after it. Everything else is a breach. */
export const TRANSITIONS: Readonly<Record<ProtocolState, Transitions>> = {
  startup: {
    AuthenticationOk: 'welcomed',
    CleartextPassword: 'password',
    MD5Password: 'password',
    SASL: 'sasl',
    ErrorResponse: 'ended',
  },
  password: { AuthenticationOk: 'welcomed', ErrorResponse: 'ended' },
  // Success without SASLFinal would be a server that does not know the password itself.
  sasl: { SASLContinue: 'saslContinued', ErrorResponse: 'ended' },
  saslContinued: { SASLFinal: 'saslFinal', ErrorResponse: 'ended' },
  saslFinal: { AuthenticationOk: 'welcomed', ErrorResponse: 'ended' },
  welcomed: { BackendKeyData: 'welcomed', ReadyForQuery: 'foreign', ErrorResponse: 'ended' },
  idle: { ErrorResponse: 'ended' },
  foreign: Object.fromEntries(FOREIGN.map((name) => [name, 'foreign'])),
  query: {
    RowDescription: 'rows',
    CommandComplete: 'complete',
    EmptyQueryResponse: 'complete',
    ErrorResponse: 'failed',
  },
  rows: { DataRow: 'rows', CommandComplete: 'complete', ErrorResponse: 'failed' },
  complete: {
    RowDescription: 'rows',
    CommandComplete: 'complete',
    EmptyQueryResponse: 'complete',
    ReadyForQuery: 'idle',
    ErrorResponse: 'failed',
  },
  copyQuery: { CommandComplete: 'copyQuery', CopyInResponse: 'copyIn', ErrorResponse: 'failed' },
  copyIn: { ErrorResponse: 'failed' },
  sentCopy: { CommandComplete: 'sentCopy', CopyInResponse: 'copyEnding', ErrorResponse: 'failed' },
  copyEnding: { CommandComplete: 'complete', ErrorResponse: 'failed' },
  parse: { ParseComplete: 'bind', ErrorResponse: 'failed' },
  bind: { BindComplete: 'describe', ErrorResponse: 'failed' },
  describe: { RowDescription: 'executeRows', NoData: 'execute', ErrorResponse: 'failed' },
  execute: { CommandComplete: 'done', EmptyQueryResponse: 'done', ErrorResponse: 'failed' },
  executeRows: { DataRow: 'executeRows', CommandComplete: 'done', ErrorResponse: 'failed' },
  done: { ReadyForQuery: 'idle', ErrorResponse: 'failed' },
  failed: { ReadyForQuery: 'idle', ErrorResponse: 'failed' },
  ended: {},
};

/** The most that the response to one statement of ours may hold. */
export interface AnswerLimits {
  readonly rows: number;
  readonly bytes: number;
}

export const SMALL_ANSWER: AnswerLimits = { rows: 100_000, bytes: 16 * MIB };
/** For responses that grow with what an import has kept. */
export const LARGE_ANSWER: AnswerLimits = { rows: 10_000_000, bytes: 512 * MIB };

/** A server sends no longer message: its buffers are not longer. */
const LONGEST_MESSAGE_BYTES = 1024 * MIB;
/** Errors and notices may quote a value that was sent, and PL/pgSQL adds words of its own. */
const QUOTE_FLOOR_BYTES = 4 * MIB;
/** Notices of a trigger for each row: some hundred bytes for a row of a few. */
const ASIDE_FLOOR_BYTES = 64 * MIB;
const ASIDES_PER_BYTE_SENT = 512;
/** The messages of a login, of all kinds. */
const LOGIN_BYTES = 4 * MIB;

export class ProtocolGuard {
  #state: ProtocolState;
  #limits = SMALL_ANSWER;
  #rows = 0;
  #bytes = 0;
  #asideBytes = 0;
  /** Columns of the rows that come, or −1. */
  #columns = -1;
  readonly #sentBytes: () => number;
  readonly #demanded: ReadonlySet<AuthenticationMethod> | undefined;

  /**
   * @param sentBytes how much has been sent for the current batch: what the server may quote
   * @param demanded the authentication methods that are answered. Default: all.
   */
  constructor(
    state: 'startup' | 'idle' | 'foreign',
    sentBytes: () => number = () => 0,
    demanded?: ReadonlySet<AuthenticationMethod>,
  ) {
    this.#state = state;
    this.#sentBytes = sentBytes;
    this.#demanded = demanded;
  }

  get state(): ProtocolState {
    return this.#state;
  }

  /** A statement of ours is sent. */
  begin(kind: StatementKind, limits = SMALL_ANSWER): void {
    if (this.#state === 'ended') return;
    this.#state = kind;
    this.#limits = limits;
    this.#rows = this.#bytes = this.#asideBytes = 0;
  }

  /** CopyDone is sent, or will be once the server has asked for the rows. */
  endCopy(): void {
    if (this.#state === 'copyIn') this.#state = 'copyEnding';
    else if (this.#state === 'copyQuery') this.#state = 'sentCopy';
  }

  /** Statements that are not ours may follow, until the next `begin`. */
  release(): void {
    if (this.#state === 'idle') this.#state = 'foreign';
  }

  /** Returns what is wrong with a message by its header alone. @param length as announced, without the type */
  check(type: number, length: number): ProtocolFault | undefined {
    const kind = messageKind(type);
    if (kind === undefined) return new ProtocolFault(`a message of unknown type 0x${type.toString(16)}`);
    const body = length - 4;
    if (body < 0) return new ProtocolFault(`${kind.name} with a length of ${length}`);
    if (body > this.#longest(kind.longest)) return new ProtocolFault(`${kind.name} of ${body} bytes`);
    // Checked before the body has come, so that a message that does not fit is not buffered.
    if (kind.name === 'Authentication' || this.#takes(kind.name)) return undefined;
    return this.#breach(kind.name);
  }

  /**
   * Takes a whole message whose header was checked. Returns what is wrong with it.
   *
   * @param received its length as it was received, if it was shortened since
   */
  accept(bytes: Buffer, start: number, end: number, received = end - start): ProtocolFault | undefined {
    const kind = messageKind(bytes[start]!)!;
    const body = start + HEADER_BYTES;
    if (!kind.isWhole(bytes, body, end)) return new ProtocolFault(`${kind.name} with a malformed body`);
    const name = kind.name === 'Authentication' ? AUTHENTICATION[bytes.readInt32BE(body)] : kind.name;
    if (name === undefined) {
      return new ProtocolFault(`an authentication method that is not supported (${bytes.readInt32BE(body)})`);
    }
    if (!this.#takes(name)) return this.#breach(name);
    return this.#account(name, bytes, body, received) ?? this.#move(name);
  }

  #takes(name: EventName): boolean {
    return TRANSITIONS[this.#state][name] !== undefined || this.#takesAside(name);
  }

  #takesAside(name: EventName): boolean {
    if (!ASIDES.has(name) || this.#state === 'ended') return false;
    return name !== 'NotificationResponse' || !LOGIN.has(this.#state);
  }

  #move(name: EventName): ProtocolFault | undefined {
    const method = this.#state === 'startup' ? METHODS[name] : undefined;
    if (method !== undefined && this.#demanded?.has(method) === false)
      return undemanded(method, this.#demanded);
    this.#state = TRANSITIONS[this.#state][name] ?? this.#state;
    return undefined;
  }

  #account(name: EventName, bytes: Buffer, body: number, received: number): ProtocolFault | undefined {
    if (this.#state === 'foreign') return undefined;
    if (ASIDES.has(name) || LOGIN.has(this.#state) || this.#state === 'welcomed') {
      this.#asideBytes += received;
      return this.#asideBytes > this.#longestAsides() ? new ProtocolFault(`${name} without end`) : undefined;
    }
    if (name === 'RowDescription') this.#columns = bytes.readInt16BE(body);
    if (name !== 'DataRow') return undefined;
    if (bytes.readInt16BE(body) !== this.#columns) {
      return new ProtocolFault('DataRow with another number of columns than RowDescription');
    }
    this.#rows += 1;
    this.#bytes += received - HEADER_BYTES;
    const { rows } = this.#limits;
    // Its bytes were counted with its header.
    return this.#rows > rows ? new ProtocolFault(`more than ${rows} rows for a small query`) : undefined;
  }

  #longest(limit: number | 'quoting' | 'data'): number {
    if (this.#state === 'foreign') return LONGEST_MESSAGE_BYTES;
    if (limit === 'quoting') return QUOTE_FLOOR_BYTES + 2 * this.#sentBytes();
    if (limit === 'data') return this.#limits.bytes - this.#bytes;
    return limit;
  }

  #longestAsides(): number {
    if (LOGIN.has(this.#state) || this.#state === 'welcomed') return LOGIN_BYTES;
    return ASIDE_FLOOR_BYTES + ASIDES_PER_BYTE_SENT * this.#sentBytes();
  }

  #breach(name: string): ProtocolFault {
    return new ProtocolFault(`${name} ${WHILE[this.#state]}`);
  }
}

function undemanded(
  method: AuthenticationMethod,
  demanded: ReadonlySet<AuthenticationMethod>,
): ProtocolFault {
  const asked = method === 'none' ? 'takes any user without a proof' : `asks for the method ${method}`;
  return new ProtocolFault(`it ${asked}, where only ${[...demanded].join(' or ')} is answered`);
}

const WHILE: Readonly<Record<ProtocolState, string>> = {
  startup: 'before authentication',
  password: 'after the password was sent',
  sasl: 'during authentication',
  saslContinued: 'during authentication',
  saslFinal: 'during authentication',
  welcomed: 'before the session was ready',
  idle: 'although nothing was asked',
  foreign: 'in mid-session',
  query: 'before any result of a statement',
  rows: 'between the rows of a result',
  complete: 'after a statement had ended',
  copyQuery: 'before a COPY',
  copyIn: 'during COPY IN',
  sentCopy: 'before a COPY',
  copyEnding: 'at the end of COPY IN',
  parse: 'before ParseComplete',
  bind: 'before BindComplete',
  describe: 'before RowDescription',
  execute: 'before CommandComplete',
  executeRows: 'between the rows of a result',
  done: 'after CommandComplete',
  failed: 'after an error',
  ended: 'after the end of the session',
};
