/** The error of a batch that could not be copied. */

import { isNativeError } from '../../common/thrown.js';
import { BackpressureError, hasMark } from '../../api/errors.js';
import { retryAfterMs } from './sqlstate.js';

/**
 * What kind of failure it was:
 *
 * - `transport`: the connection, or trouble of the server's that passes. Worth another attempt.
 * - `row`: a row that the table cannot take. Another attempt would end in the same way.
 * - `setup`: table, columns, privileges, password … Nothing will arrive until somebody changes them.
 * - `aborted`: the batch's signal fired.
 */
export type CopyFailureClass = 'transport' | 'row' | 'setup' | 'aborted';

export interface CopyErrorDetails {
  failureClass: CopyFailureClass;
  retryable?: boolean;
  ambiguous?: boolean;
  sqlState?: string | undefined;
  table?: string | undefined;
  column?: string | undefined;
  constraint?: string | undefined;
  row?: number | undefined;
  cause?: unknown;
  items?: readonly unknown[];
}

const COPY_ERROR_MARK = Symbol.for('spillway.CopyError');

/**
 * A batch that `copyInto` could not deliver. Its message names table, row and column, never the rest of the row; `items` is not
 * enumerable, and neither are the parts of the server's own error (`cause`) that quote the row.
 */
export class CopyError extends BackpressureError {
  override readonly name = 'CopyError';
  readonly failureClass: CopyFailureClass;
  /** Whether another attempt may succeed. */
  readonly retryable: boolean;
  /** The connection was lost between COMMIT and its response. The batch may be stored, and another attempt may store it twice. */
  readonly ambiguous: boolean;
  /** The server's SQLSTATE; for what is noticed before sending, the one that the server has for it. */
  readonly sqlState: string | undefined;
  /** How long this kind of trouble lasts at the least, in milliseconds: the stream waits for so long before another attempt. */
  readonly retryAfterMs: number | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly constraint: string | undefined;
  /** Place in the batch of the row at fault, from 0; `undefined` if the server does not name it (a foreign key, a deferred constraint). */
  readonly row: number | undefined;

  static {
    Object.defineProperty(this.prototype, COPY_ERROR_MARK, { value: true });
    // The build shortens the names of classes.
    Object.defineProperty(this, 'name', { value: 'CopyError' });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasMark(CopyError, this, COPY_ERROR_MARK, value);
  }

  constructor(message: string, details: CopyErrorDetails) {
    super('ERR_BACKPRESSURE_COPY', message, {
      ...('cause' in details && { cause: hideRow(details.cause) }),
      items: details.items ?? [],
    });
    this.failureClass = details.failureClass;
    this.retryable = details.retryable ?? details.failureClass === 'transport';
    this.ambiguous = details.ambiguous ?? false;
    this.sqlState = details.sqlState;
    this.retryAfterMs = details.failureClass === 'transport' ? retryAfterMs(details.sqlState) : undefined;
    this.table = details.table;
    this.column = details.column;
    this.constraint = details.constraint;
    this.row = details.row;
  }
}

/** Hides what quotes the row from loggers: `detail` ("Failing row contains …") and `where` become not enumerable. */
function hideRow(cause: unknown): unknown {
  if (!isNativeError(cause)) return cause;
  for (const name of ['detail', 'where']) {
    const property = Object.getOwnPropertyDescriptor(cause, name);
    if (property?.configurable) Object.defineProperty(cause, name, { ...property, enumerable: false });
  }
  return cause;
}
