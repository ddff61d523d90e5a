/** Errors of an import itself, apart from those of its batches. */

import { messageOf, toError } from '../../common/thrown.js';
import { CopyError } from '../errors/copy-error.js';
import { showImportId } from './import-id.js';
import { showDifferences, type SourceDifference } from './import-source.js';
import { OpenCommit } from './import-transaction.js';
import { AbortFault } from '../connection/answer-deadline.js';
import { classify, isSqlState } from '../errors/sqlstate.js';

/** An earlier attempt at the same batch has been committed after all. */
export class AlreadyCommitted extends Error {
  override readonly name = 'AlreadyCommitted';
}

/** The source is not the one that earlier runs of the import have read. */
export class SourceChanged extends CopyError {
  readonly differences: readonly SourceDifference[];

  constructor(importId: string, differences: readonly SourceDifference[]) {
    super(
      `import ${showImportId(importId)} was begun with another source: ${showDifferences(differences)}; ` +
        'load the same source, or give another import id',
      { failureClass: 'setup' },
    );
    this.differences = differences;
  }
}

export function takenOver(importId: string): CopyError {
  return new CopyError(
    `another run of import ${showImportId(importId)} has taken over (or its row in the table of imports was deleted); this one writes nothing more`,
    { failureClass: 'setup' },
  );
}

const OPEN_OUTCOMES: ReadonlyMap<string, string> = new Map([
  ['begin', 'the import may have begun, with all that its first run does (--truncate)'],
  ['finish', 'all rows are loaded, and the import may be marked as finished or not'],
]);

/** `what` was tried: "finish". */
export function describeImportFailure(thrown: unknown, what: string, importId: string): CopyError {
  if (thrown instanceof CopyError) return thrown;
  const isOpen = thrown instanceof OpenCommit;
  const error = (isOpen ? thrown.cause : toError(thrown)) as Error & { code?: unknown };
  const name = showImportId(importId);
  // What only reads leaves nothing open.
  if (isOpen && OPEN_OUTCOMES.has(what)) {
    return new CopyError(`cannot ${what} import ${name}: ${thrown.message}; ${OPEN_OUTCOMES.get(what)}`, {
      failureClass: error instanceof AbortFault ? 'aborted' : 'transport',
      retryable: false,
      ambiguous: true,
      cause: error,
    });
  }
  if (error instanceof AbortFault) {
    return new CopyError(`to ${what} import ${name} was aborted`, {
      failureClass: 'aborted',
      retryable: true,
      cause: error.cause,
    });
  }
  const reason = error.code === '55P03' ? 'another run of it is still writing' : messageOf(error);
  return new CopyError(`cannot ${what} import ${name}: ${reason}`, {
    // No row of the table is at fault.
    failureClass: classify(error) === 'transport' ? 'transport' : 'setup',
    sqlState: isSqlState(error.code) ? error.code : undefined,
    cause: error,
  });
}
