/** Recognises Parquet by its first and last bytes, whatever the name of the file. */

import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { expandPaths } from './input/files/expand-paths.js';

const MAGIC = Buffer.from('PAR1');

/** Returns whether the first file is Parquet. What cannot be read is left to the load, which reports it. */
export function beginsWithParquet(given: readonly string[]): boolean {
  try {
    const [path = '-'] = expandPaths(given.slice(0, 1));
    // To open a pipe would wait for its writer.
    return path !== '-' && statSync(path).isFile() && isParquet(path);
  } catch {
    return false;
  }
}

function isParquet(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(MAGIC.length);
    return [0, size - MAGIC.length].every(
      (position) => readSync(file, bytes, 0, MAGIC.length, position) === MAGIC.length && bytes.equals(MAGIC),
    );
  } finally {
    closeSync(file);
  }
}
