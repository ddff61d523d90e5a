/** Exit codes, and the errors of the command line. Each error becomes one line on standard error. */

import { redactSecrets } from '../../postgres/errors/redact.js';

export const ExitCode = {
  /** All rows are in. */
  OK: 0,
  /** The input, the server or the table stopped it. */
  FAILED: 1,
  /** The command itself was wrong; nothing was read or written. */
  USAGE: 2,
  /** Done, but rows were rejected, or dropped by the strategy. */
  INCOMPLETE: 3,
  /** Stopped by SIGINT (Ctrl-C), after what had been read was drained. */
  INTERRUPTED: 130,
  /** Stopped by SIGTERM, likewise. */
  TERMINATED: 143,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** An error whose message is meant for the user of the command line as it stands. It never contains a password. */
export class CliError extends Error {
  override readonly name: string = 'CliError';
  readonly exitCode: ExitCode;
  /** `load`: whether the table was emptied before. `null`: it is not known. */
  truncated: boolean | null = false;

  constructor(message: string, exitCode: ExitCode = ExitCode.FAILED, cause?: unknown) {
    super(redactSecrets(message), { cause });
    this.exitCode = exitCode;
  }
}

/** Checks by property: each command's bundle has a class `CliError` of its own. */
export function isCliError(error: unknown): error is CliError {
  return error instanceof Error && typeof (error as Partial<CliError>).exitCode === 'number';
}

/** A wrong flag, or flags that contradict each other. */
export class UsageError extends CliError {
  override readonly name = 'UsageError';
  constructor(message: string) {
    super(message, ExitCode.USAGE);
  }
}

/** Returns what to install, if the error is that an optional package is missing. */
export function missingPackage(error: unknown): CliError | undefined {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return undefined;
  const name = /'(pg|pg-copy-streams)'/.exec(message)?.[1];
  return name === undefined
    ? undefined
    : new CliError(
        `the package ${name} is missing; install it with: npm install pg pg-copy-streams`,
        ExitCode.FAILED,
        error,
      );
}

/** A name, or a file whose places may be told as numbers of records. */
export type InputName = string | { readonly name: string; readonly countsRecords?: boolean };

/** Input that cannot be read as what it should be; names the file and, if known, the line. */
export class InputError extends CliError {
  override readonly name = 'InputError';
  readonly file: string;
  /** Counted from 1: the line on which the record begins. */
  readonly line: number | undefined;
  /** Set if `line` is the number of a record. */
  readonly record: number | undefined;
  /** What is wrong, without the place. */
  readonly reason: string;
  /** It is about one record, and the others can be read. */
  isOfRecord = false;

  constructor(file: InputName, line: number | undefined, reason: string, cause?: unknown) {
    super(`${placeOf(file, line)}: ${reason}`, ExitCode.FAILED, cause);
    this.file = typeof file === 'string' ? file : file.name;
    this.record = typeof file === 'object' && file.countsRecords === true ? line : undefined;
    this.line = line;
    this.reason = reason;
  }
}

/** A place in the input, as compilers write it. @param line of files that count records, the number of the record */
export function placeOf(file: InputName, line: number | undefined): string {
  const { name, countsRecords = false } = typeof file === 'string' ? { name: file } : file;
  if (line === undefined) return name;
  return countsRecords ? `${name}: record ${line}` : `${name}:${line}`;
}

/** The longest line of an error, in characters. The server quotes a whole field, and we whole names: either may have megabytes. */
const LONGEST_LINE = 500;

/** Any text as one line of bounded length: what follows a line break would look like a message of its own. */
export function oneLine(text: string): string {
  const trimmed = text.trim();
  // Cut before the replacement, too, which is slow over long white space.
  const line = trimmed.slice(0, 2 * LONGEST_LINE).replace(/\s*[\r\n]+\s*/g, ' ');
  if (line.length <= LONGEST_LINE && trimmed.length <= 2 * LONGEST_LINE) return line;
  // Not in the middle of a surrogate pair.
  return `${line.slice(0, LONGEST_LINE - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Returns an error, its cause, the cause of that, and so on. */
export function causesOf(error: unknown): Error[] {
  const found: Error[] = [];
  for (let cause = error; cause instanceof Error && !found.includes(cause); cause = cause.cause)
    found.push(cause);
  return found;
}
