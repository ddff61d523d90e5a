/** Finds the files of a load, and refuses those that are no tables before a server is asked for anything. */

import type { Readable } from 'node:stream';
import type { LoadOptions } from '../../args/options.js';
import { UsageError } from '../../common/errors.js';
import { checkFiles } from '../../input/check-files.js';
import { expandPaths } from '../../input/files/expand-paths.js';
import { findFiles } from '../../input/files/find-files.js';
import { Source } from '../../input/source.js';

/** @throws {CliError} */
export async function openInput(
  { files, isJsonDocument, isParquet }: LoadOptions,
  terminal: { readonly stdin: Readable & { readonly isTTY?: boolean } },
): Promise<Source> {
  if (files.length === 0 && terminal.stdin.isTTY === true) {
    throw new UsageError('no file is given; - reads what is typed');
  }
  const found = await findFiles(files.length === 0 ? ['-'] : expandPaths(files), isJsonDocument || isParquet);
  if (isParquet) await (await import('../../parquet/parquet-file.js')).checkParquet(found);
  else await checkFiles(found);
  return new Source(found, terminal.stdin);
}
