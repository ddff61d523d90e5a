/** Describes why a load has failed. */

import { messageOf } from '../../common/thrown.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { causesOf, CliError, ExitCode, oneLine, placeOf } from '../common/errors.js';
import { SourceRow } from '../records/record-parser.js';
import { messageFor } from '../rejects/reject.js';

/** Turns a failure into one line that names the place in the input, as far as it is known. */
export function describeLoadFailure(error: unknown): CliError {
  const chain = causesOf(error);
  const own = chain.find((cause) => cause instanceof CliError);
  if (own !== undefined) return own;
  const copyError = chain.find((cause) => cause instanceof CopyError);
  if (copyError === undefined) return new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
  const places = copyError.items.filter((item) => item instanceof SourceRow);
  const [first, last] = [places[0], places.at(-1)];
  // Only a fault of a row has a place in the input.
  if (first === undefined || last === undefined || copyError.failureClass !== 'row') {
    return new CliError(oneLine(copyError.message), ExitCode.FAILED, error);
  }
  const place =
    copyError.row !== undefined || first === last
      ? placeOf(first.file, first.line)
      : `a row from ${placeOf(first.file, first.line)} to ${placeOf(last.file, last.line)}`;
  const message = oneLine(messageFor(copyError));
  const column = copyError.column === undefined ? '' : `column ${JSON.stringify(copyError.column)}`;
  // Our own message begins with the column; the server's does not name it.
  const named = column === '' || message.startsWith(`${column} `) ? message : `${column}: ${message}`;
  return new CliError(`${place}: ${named}`, ExitCode.FAILED, error);
}
