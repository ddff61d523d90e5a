/** The format of files by their names. Pure. */

import { UsageError } from '../common/errors.js';
import type { Format } from './options.js';

/** `json` is read as NDJSON, once its records are cut, and `parquet` as COPY's text format. */
export type GivenFormat = Format | 'json' | 'parquet';

const EXTENSIONS: readonly (readonly [RegExp, GivenFormat])[] = [
  [/\.(csv|tsv|tab)(\.(gz|zst|xz|bz2|zip))?$/i, 'csv'],
  [/\.(ndjson|jsonl)(\.(gz|zst|xz|bz2|zip))?$/i, 'ndjson'],
  [/\.(json|geojson)(\.(gz|zst|xz|bz2|zip))?$/i, 'json'],
  [/\.(parquet|parq|pq)$/i, 'parquet'],
];

export function isTabSeparated(file: string): boolean {
  return /\.(tsv|tab)(\.(gz|zst|xz|bz2|zip))?$/i.test(file);
}

/** Returns the name of the first file in a zip archive, or else the name that is given. */
export type EntryName = (file: string) => string;

/** @throws {UsageError} for a name that does not say it, and for files of several formats */
export function formatOf(files: readonly string[], entryName: EntryName): GivenFormat {
  const hint = 'give --format csv, ndjson, json, parquet or copy';
  const formats = new Set<GivenFormat>();
  for (const file of files.length === 0 ? ['-'] : files) {
    if (file === '-') throw new UsageError(`standard input does not say its format: ${hint}`);
    const format = formatOfName(file) ?? formatInside(entryName(file));
    if (format === undefined) {
      const isPlain = !/\.[^./]+$/.test(file);
      const help = isPlain ? `${hint}; the files of a directory are named by DIRECTORY/*.csv` : hint;
      throw new UsageError(`the name "${file}" does not say its format: ${help}`);
    }
    formats.add(format);
  }
  if (formats.size > 1)
    throw new UsageError('the files are of different formats: load them one after another');
  return [...formats][0]!;
}

function formatOfName(name: string): GivenFormat | undefined {
  return EXTENSIONS.find(([pattern]) => pattern.test(name))?.[1];
}

/** Parquet is not read from an archive. */
function formatInside(name: string): GivenFormat | undefined {
  const format = formatOfName(name);
  return format === 'parquet' ? undefined : format;
}
