/**
 * Classifies errors: by SQLSTATE (PostgreSQL manual, appendix A), by Node's code, and a few of node-postgres, which have neither, by their
 * message. Pure.
 */

/** `unknown`: no table here has it. Then a row is at fault only if the server named one. */
export type ErrorClass = 'transport' | 'row' | 'setup' | 'unknown';

/** The longest matching prefix decides. */
export const SQLSTATE_CLASSES: Readonly<Record<string, ErrorClass>> = {
  // Connection exceptions. PgBouncer also reports its own time limits as 08P01.
  '08': 'transport',
  '09': 'row', // triggered action exception
  '0A': 'setup', // not supported: COPY into a view, row-level security
  '21': 'row', // cardinality violation
  '22': 'row', // data exceptions
  '23': 'row', // integrity constraints
  '25': 'setup', // invalid transaction state
  '25006': 'transport', // read only: an old primary after a failover
  '25P03': 'transport', // idle in transaction for too long
  '25P04': 'transport', // transaction timeout
  '27': 'row', // triggered data change violation
  '28': 'setup', // authorisation
  '38': 'row', // external routine: a trigger's exception
  '39': 'row',
  '3D': 'setup', // no such database
  '3F': 'setup', // no such schema
  '40': 'transport', // rollback: serialisation failure, deadlock
  '40002': 'row', // integrity constraint found at commit
  '42': 'setup', // syntax, names, privileges
  '44': 'row', // WITH CHECK OPTION violation
  '53': 'transport', // disk full, out of memory, too many connections: never a row's fault
  '54': 'setup', // program limits
  '54000': 'row', // a row or an index entry that is too big
  '55': 'setup', // object not in the state needed
  '55006': 'transport', // object in use
  '55P03': 'transport', // lock not available
  '57': 'transport', // cancelled, shutting down, starting up
  '57P04': 'setup', // database dropped
  '58': 'transport', // system errors: input and output
  '72': 'transport', // snapshot too old
  P0: 'row', // raised by a trigger
};

/**
 * Routines of the server (`routine` of its error) whose errors are about one row, although their SQLSTATE is one of the set-up: a policy of
 * row-level security, a view's CHECK OPTION, and what a trigger or a policy raises by itself.
 */
const ROW_ROUTINES: ReadonlySet<unknown> = new Set(['ExecWithCheckOptions', 'exec_stmt_raise']);

/**
 * States of the set-up that a type may also raise while it reads a value: a word of a `tsvector`, `jsonpath` or `ltree` (42601), an unknown
 * name for `regclass`, `regrole` … (42P01, 42704, 3F000, 0A000 …), JSON that is nested too deeply (54001). Never a missing privilege.
 */
const VALUE_STATES = /^(0A000|3F000|54...|42(?!501)...)$/;

/** Whether a type raises this for a value, provided that it was reading one. */
export function isSaidOfValues(code: unknown): boolean {
  return isSqlState(code) && (code.startsWith('22') || VALUE_STATES.test(code));
}

const NODE_CODES: Readonly<Record<string, ErrorClass>> = {
  EADDRNOTAVAIL: 'transport',
  EAI_AGAIN: 'transport',
  ECONNABORTED: 'transport',
  ECONNREFUSED: 'transport',
  ECONNRESET: 'transport',
  EHOSTDOWN: 'transport',
  EHOSTUNREACH: 'transport',
  EMFILE: 'transport',
  ENETDOWN: 'transport',
  ENETRESET: 'transport',
  ENETUNREACH: 'transport',
  ENFILE: 'transport',
  ENOBUFS: 'transport',
  // A socket file that is not there (yet): the server is down.
  ENOENT: 'transport',
  ENOTCONN: 'transport',
  ENOTFOUND: 'transport',
  EPIPE: 'transport',
  ETIMEDOUT: 'transport',
  ERR_BACKPRESSURE_PROTOCOL: 'transport',
  ERR_STREAM_DESTROYED: 'transport',
  ERR_STREAM_PREMATURE_CLOSE: 'transport',
  ERR_STREAM_WRITE_AFTER_END: 'transport',
  EACCES: 'setup',
  EPERM: 'setup',
  CERT_HAS_EXPIRED: 'setup',
  CERT_NOT_YET_VALID: 'setup',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'setup',
  ERR_INVALID_ARG_TYPE: 'setup',
  ERR_MODULE_NOT_FOUND: 'setup',
  ERR_TLS_CERT_ALTNAME_INVALID: 'setup',
  MODULE_NOT_FOUND: 'setup',
  SELF_SIGNED_CERT_IN_CHAIN: 'setup',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'setup',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'setup',
};

/** node-postgres gives these no code. */
const MESSAGES: readonly (readonly [RegExp, ErrorClass])[] = [
  [/^Connection terminated/, 'transport'],
  [/connection error and is not queryable$/, 'transport'],
  [/^Client was closed and is not queryable$/, 'transport'],
  [/^timeout exceeded when trying to connect$/, 'transport'],
  [/^timeout expired$/, 'transport'],
  [/^Query read timeout$/, 'transport'],
  [/^Cannot use a pool after calling end/, 'setup'],
  [/SSL|SASL|password/, 'setup'],
];

/** A SQLSTATE: five digits and capitals. Node's codes of that length (`EPIPE`, `EPERM`) hold no digit. */
export function isSqlState(code: unknown): code is string {
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code);
}

/** The class of an error that the server or node-postgres gave. */
export function classify(error: { code?: unknown; message?: unknown; routine?: unknown }): ErrorClass {
  const { code, routine } = error;
  if (isSqlState(code)) {
    const found = SQLSTATE_CLASSES[code] ?? SQLSTATE_CLASSES[code.slice(0, 2)] ?? 'unknown';
    return found === 'setup' && ROW_ROUTINES.has(routine) ? 'row' : found;
  }
  if (typeof code === 'string' && Object.hasOwn(NODE_CODES, code)) return NODE_CODES[code] ?? 'unknown';
  const message = String(error.message);
  return MESSAGES.find(([pattern]) => pattern.test(message))?.[1] ?? 'unknown';
}

/** These always end the connection: connection exceptions, sessions ended by the server or by its time limits. */
const ENDS_CONNECTION = /^(08...|57P0[1-5]|25P0[34])$/;
/** These end the connection or not, by their severity: authorisation, no such database, resources, system and internal errors. */
const MAY_END_CONNECTION = /^(28|3D|53|58|F0|XX)/;

/**
 * True if a value or a message has too few bytes, or too many. The server reports this with the state of a broken connection, but it has read
 * the message to its end, and the connection lives on. The name of the server's source file distinguishes it from a pooler's time limits.
 */
export function isOfMessageReader(error: Error): boolean {
  const { code, file } = error as { code?: unknown; file?: unknown };
  return code === '08P01' && file === 'pqformat.c';
}

/**
 * True if this is an ordinary error of the server, after which a ROLLBACK cleans up and the connection can be used. The severity is written
 * in the server's language (`lc_messages`), so the SQLSTATE decides. If neither is known, the connection counts as lost.
 */
export function leavesConnectionUsable(error: Error): boolean {
  if (isOfMessageReader(error)) return true;
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  if (!isSqlState(code) || ENDS_CONNECTION.test(code)) return false;
  if (severity === 'ERROR') return true;
  return severity !== 'FATAL' && severity !== 'PANIC' && !MAY_END_CONNECTION.test(code);
}

/**
 * True also for an internal error whose severity is not known: some types raise it for bytes that are not theirs. If the connection has ended
 * after all, the next statement fails.
 */
export function mayLeaveConnectionUsable(error: Error): boolean {
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  if (code === 'XX000') return severity !== 'FATAL' && severity !== 'PANIC';
  return leavesConnectionUsable(error);
}

/** A statement was cancelled: by somebody, or by `statement_timeout`. */
export function isCancel(error: Error): boolean {
  return (error as { code?: unknown }).code === '57014';
}

/** The transaction took longer than `transaction_timeout`, and the session has ended. */
export function isTransactionTimeout(error: Error): boolean {
  return (error as { code?: unknown }).code === '25P04';
}

/** True if the server ends the session: by an error, or by the warning of a server that stops at once. */
export function endsSession({ code, severity }: { code?: unknown; severity?: unknown }): boolean {
  if (!isSqlState(code)) return false;
  return /^(57P0[1-5]|25P0[34])$/.test(code) || severity === 'FATAL' || severity === 'PANIC';
}

/**
 * True if the server ended the session while it looked for interrupts. It never does so between writing a commit and answering it. A pooler's
 * errors name no routine and prove nothing.
 */
export function provesRollback(error: Error | undefined): boolean {
  const { routine } = (error ?? {}) as { routine?: unknown };
  return routine === 'ProcessInterrupts';
}

/** The warning that COMMIT no longer waits for a standby: it has taken effect on this server. */
export function isCommittedLocally({ routine }: { routine?: unknown }): boolean {
  return routine === 'SyncRepWaitForLSN';
}

/** True if the layout may be out of date: a column or the table is gone, moved, now generated, or has row-level security. */
export function hintsAtChangedTable(sqlState: string | undefined): boolean {
  return sqlState !== undefined && ['0A000', '42703', '42P01', '42P10', '3F000'].includes(sqlState);
}

/** The least time before another attempt, in milliseconds. The longest matching prefix decides. */
const RETRY_AFTER_MS: Readonly<Record<string, number>> = {
  // Another transaction won: it is over in a moment.
  '40001': 20,
  '40P01': 20,
  '55P03': 200,
  // Somebody must take note and do something.
  '53': 1_000,
  '53100': 5_000,
  '25006': 1_000,
  // Shutting down or starting up.
  '57P': 1_000,
};

/** What is waited for, for messages. The longest matching prefix decides. */
const TROUBLE: Readonly<Record<string, string>> = {
  '25006': 'a server that can be written to (it is read-only)',
  '25P03': 'a new session (the server ended the last one: idle in a transaction)',
  '40': 'other transactions',
  '53': 'resources of the server',
  '53100': 'room on the disk of the server',
  '53300': 'a free connection (the server has too many)',
  '55006': 'an object that others use',
  '55P03': 'a lock',
  '57014': 'another attempt (a statement was cancelled)',
  '57P': 'the server (it shuts down or starts up)',
};

/** @param sqlState undefined if the connection was lost without an error of the server */
export function troubleOf(sqlState: string | undefined): string {
  const state = sqlState ?? '';
  return TROUBLE[state] ?? TROUBLE[state.slice(0, 3)] ?? TROUBLE[state.slice(0, 2)] ?? 'a connection';
}

/** Returns `undefined` if the delay is that of any retry, as for a connection that is lost. */
export function retryAfterMs(sqlState: string | undefined): number | undefined {
  if (sqlState === undefined) return undefined;
  return (
    RETRY_AFTER_MS[sqlState] ?? RETRY_AFTER_MS[sqlState.slice(0, 3)] ?? RETRY_AFTER_MS[sqlState.slice(0, 2)]
  );
}
