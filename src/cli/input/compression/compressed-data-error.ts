/** Compressed data that cannot be undone. The message goes after the file's name. */
export class CompressedDataError extends Error {
  override readonly name = 'CompressedDataError';
}

export function endsInTheMiddle(container: string): CompressedDataError {
  return new CompressedDataError(`the ${container} data ends in the middle (truncated file?)`);
}

export function isDamaged(container: string, detail: string, cause?: unknown): CompressedDataError {
  return new CompressedDataError(`the ${container} data is damaged (${detail})`, { cause });
}

export function isMissingModule(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}

/** Loads an optional package. @throws {CompressedDataError} naming both ways to go on, if it is missing */
export async function optionalPackage<T>(
  load: () => Promise<T>,
  container: string,
  install: string,
  command: string,
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!isMissingModule(error)) throw error;
    throw new CompressedDataError(
      `is compressed by ${container}, which needs a package: npm install ${install}; or: ${command} FILE | spillway load - …`,
      { cause: error },
    );
  }
}
