/** Flags that need or exclude each other. Pure. */

import { UsageError } from '../common/errors.js';
import type { LoadOptions } from './options.js';

/** @throws {UsageError} naming both flags */
export function checkRelations(options: LoadOptions): void {
  checkInput(options);
  checkTypes(options);
  checkCopyText(options);
  checkTrim(options);
  checkConflict(options);
  checkRejects(options);
  checkReport(options);
  checkResume(options);
  checkAtomic(options);
}

function checkInput({ files, format, isParquet, columns }: LoadOptions): void {
  if (files.filter((file) => file === '-').length > 1) {
    throw new UsageError('standard input (-) can be read only once');
  }
  if ((format === 'ndjson' || isParquet) && columns?.includes('') === true) {
    throw new UsageError('--columns has an empty name');
  }
}

/** Of both commands. */
export function checkTypes({ types, create }: Pick<LoadOptions, 'types' | 'create'>): void {
  if (Object.keys(types).length > 0 && !create) {
    throw new UsageError(
      '--type needs --create: it is about a table that is made, and one that exists has its types (ALTER TABLE changes them)',
    );
  }
}

function checkCopyText({ format, delimiter, otherNulls }: LoadOptions): void {
  if (format !== 'copy') return;
  // The server's own limit.
  if (/[\\.a-z0-9]/.test(delimiter)) {
    throw new UsageError("--delimiter of COPY's text format is no backslash, dot, digit or small letter");
  }
  if (otherNulls.length > 0) throw new UsageError("COPY's text format has one --null");
}

function checkTrim({ trim, nullText, otherNulls, nullsFor }: LoadOptions): void {
  const never = [nullText, ...otherNulls, ...Object.values(nullsFor).flat()].find(
    (text) => text !== text.trim(),
  );
  if (trim && never !== undefined)
    throw new UsageError(
      `no field is ${JSON.stringify(never)} with --trim, which leaves out white space at its ends`,
    );
}

/** Of both commands. */
export function checkConflict({ onConflict, key }: Pick<LoadOptions, 'onConflict' | 'key'>): void {
  if (key !== undefined && onConflict === 'error') {
    throw new UsageError('--key needs --on-conflict ignore or --on-conflict update');
  }
  if (key === undefined && onConflict === 'update') {
    throw new UsageError('--on-conflict update needs --key: the columns that identify the row to update');
  }
}

function checkRejects({ rejects, maxRejects, files }: LoadOptions): void {
  if (rejects === undefined) {
    if (maxRejects !== undefined) throw new UsageError('--max-rejects needs --rejects');
    return;
  }
  if (files.includes(rejects)) throw new UsageError('--rejects names a file that is to be loaded');
}

function checkReport({ report, rejects, files }: LoadOptions): void {
  if (report === undefined) return;
  if (files.includes(report)) throw new UsageError('--report names a file that is to be loaded');
  if (report === rejects) throw new UsageError('--report and --rejects name the same file');
}

function checkResume({ resume, strategy, atomic, files }: LoadOptions): void {
  if (resume === undefined) return;
  if (strategy !== 'block') {
    throw new UsageError(
      `--import needs --strategy block; ${strategy} drops rows, which no run would make up for`,
    );
  }
  if (atomic)
    throw new UsageError(
      '--import and --atomic exclude each other: an atomic load leaves nothing to go on from',
    );
  if (files.indexOf('-') > 0) {
    throw new UsageError(
      'with --import, standard input (-) must be the first: its beginning is compared before any file is loaded',
    );
  }
}

function checkAtomic({ atomic, connections, strategy }: LoadOptions): void {
  if (!atomic) return;
  if (connections !== undefined && connections > 1) {
    throw new UsageError('--atomic is one transaction, and so one connection: leave --connections out');
  }
  if (strategy !== 'block') {
    throw new UsageError(
      `--atomic needs --strategy block; ${strategy} drops rows, and all are to be loaded or none`,
    );
  }
}
