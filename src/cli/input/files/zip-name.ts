/** Names the file in a zip archive, whose own name may say nothing. */

import { statSync } from 'node:fs';
import { zipEntriesOf } from '../compression/zip-directory.js';
import { expandPaths } from './expand-paths.js';

/** Returns the name of the archive's first file. What cannot be read is left to the load, which reports it. */
export function entryName(given: string): string {
  if (!/\.zip$/i.test(given)) return given;
  try {
    const [path = given] = expandPaths([given]);
    return (statSync(path).isFile() ? zipEntriesOf(path)[0] : undefined) ?? given;
  } catch {
    return given;
  }
}
