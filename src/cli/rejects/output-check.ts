/** Checks a file that a flag names for output, before anything is done, and says why it cannot be written. */

import { fstatSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { CliError, ExitCode } from '../common/errors.js';
import type { SourceFile } from '../input/source.js';
import { OutputFile, OutputError } from './output-file.js';

export type OutputFlag = '--rejects' | '--report';

/**
 * Checks that the file can be written, without touching it.
 *
 * @param isStandardOutputTaken standard output is for `--json`
 * @throws {CliError} naming the file if it cannot be written, is an input, or is standard output or standard error
 */
export async function checkOutput(
  flag: OutputFlag,
  filePath: string,
  inputs: readonly SourceFile[],
  isStandardOutputTaken: boolean,
): Promise<OutputFile> {
  try {
    // First, as the name of an input may be a link.
    await assertNotInput(flag, filePath, inputs);
    const file = await OutputFile.check(filePath);
    await assertNotOwnOutput(flag, file, isStandardOutputTaken);
    return file;
  } catch (error) {
    throw notWritable(flag, filePath, error);
  }
}

/** Compares files by device and inode, not by name. */
const isSame = (one: Stats | undefined, other: Stats | undefined): boolean =>
  one !== undefined && one.dev === other?.dev && one.ino === other.ino;

async function assertNotInput(
  flag: OutputFlag,
  filePath: string,
  inputs: readonly SourceFile[],
): Promise<void> {
  const found = await statOf(filePath);
  // A terminal may be both, and so may /dev/null.
  if (found === undefined || found.isCharacterDevice()) return;
  for (const input of inputs) {
    if (!isSame(found, await statOf(input.path ?? 0))) continue;
    throw new CliError(`${flag} ${filePath}: is ${input.name}, which is to be loaded`);
  }
}

/** A file that our own output goes to would be replaced by another, and what is printed would be lost. */
async function assertNotOwnOutput(
  flag: OutputFlag,
  { path, found, descriptor }: OutputFile,
  isStandardOutputTaken: boolean,
): Promise<void> {
  const isPlain = descriptor === undefined && found?.isFile() === true;
  if (descriptor === 0) throw new CliError(`${flag} ${path}: is standard input`);
  if (descriptor === 1 && isStandardOutputTaken)
    throw new CliError(`${flag} ${path}: is standard output, which is for --json`);
  if (isPlain && isSame(found, await statOf(1)))
    throw new CliError(`${flag} ${path}: is standard output; give /dev/stdout`);
  if (isPlain && isSame(found, await statOf(2)))
    throw new CliError(`${flag} ${path}: is standard error; give /dev/stderr`);
}

/** Returns undefined if there is no such file; opening it will report why. */
async function statOf(file: string | number): Promise<Stats | undefined> {
  try {
    return typeof file === 'string' ? await stat(file) : fstatSync(file);
  } catch {
    return undefined;
  }
}

const WRITING_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a part of its path is not a folder',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its path has too many symbolic links',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the quota is used up',
  EPIPE: 'its reader has gone',
  ENXIO: 'no such device is there',
  EBADF: 'no such descriptor is open for writing',
};

export function notWritable(flag: OutputFlag, filePath: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof OutputError)
    return new CliError(`${flag} ${filePath}: ${error.message}`, ExitCode.FAILED, error);
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = WRITING_ERRORS[code ?? ''] ?? message;
  return new CliError(`${flag} ${filePath}: cannot be written: ${reason}`, ExitCode.FAILED, error);
}
