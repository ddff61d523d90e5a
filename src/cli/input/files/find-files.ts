/** Finds files, and says why one cannot be read. */

import { constants, fstatSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { CliError, ExitCode, InputError } from '../../common/errors.js';
import { CompressedDataError } from '../compression/compressed-data-error.js';

export interface SourceFile {
  /** The path as it was given; `standard input` for `-`. */
  readonly name: string;
  readonly path: string | undefined;
  /** Undefined if it cannot be known: standard input and pipes. */
  readonly sizeBytes: number | undefined;
  /** Its records are numbered, as they are not one on each line: where others have a line, it has the number of a record. */
  readonly countsRecords?: boolean;
}

/**
 * Finds every file before the first is read, so that a wrong name does not stop a load half way.
 *
 * @throws {InputError} naming the file that is missing, a directory or not readable.
 */
export async function findFiles(paths: readonly string[], countsRecords = false): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const path of paths) {
    const file = path === '-' ? standardInput() : await findFile(path);
    files.push(countsRecords ? { ...file, countsRecords } : file);
  }
  return files;
}

const STANDARD_INPUT = 'standard input';

function standardInput(): SourceFile {
  // `< events.csv` is a file, whose size is known; a pipe's is not.
  const found = fstatSync(0);
  if (found.isDirectory()) throw new InputError(STANDARD_INPUT, undefined, READING_ERRORS['EISDIR']!);
  const sizeBytes = found.isFile() ? found.size : undefined;
  return { name: STANDARD_INPUT, path: undefined, sizeBytes };
}

async function findFile(path: string): Promise<SourceFile> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new InputError(path, undefined, READING_ERRORS['EISDIR']!);
    await access(path, constants.R_OK);
    return { name: path, path, sizeBytes: found.isFile() ? found.size : undefined };
  } catch (error) {
    throw readingError(path, error);
  }
}

const READING_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'is a directory, not a file; a pattern names its files: DIRECTORY/*.csv',
  EACCES: 'may not be read (permission denied)',
  EPERM: 'may not be read (operation not permitted)',
  ENOTDIR: 'no such file (a part of its path is not a directory)',
  EMFILE: 'cannot be opened (too many open files)',
  Z_BUF_ERROR: 'the gzip data ends in the middle (truncated file?)',
  Z_DATA_ERROR: 'the gzip data is damaged',
};

export function readingError(name: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof CompressedDataError) return new InputError(name, undefined, error.message, error);
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = READING_ERRORS[code ?? ''];
  const detail =
    code === 'Z_DATA_ERROR' ? `${reason} (${message})` : (reason ?? `cannot be read: ${message}`);
  return code === undefined
    ? new CliError(`${name}: ${detail}`, ExitCode.FAILED, error)
    : new InputError(name, undefined, detail, error);
}
