/** The entries of a zip archive: which of them are tables, and what their names say the archive is. */

import { CompressedDataError } from './compressed-data-error.js';

/** Entries that are named at the most. */
const MOST_NAMES = 5;

/** Folders, and what macOS adds. */
const NO_TABLE = /\/$|^__MACOSX\/|(?:^|\/)\.DS_Store$/;

export function isTableEntry(name: string): boolean {
  return !NO_TABLE.test(name);
}

/** Documents that are zip archives: by a name that only they have, the more special ones first. */
const DOCUMENTS: readonly (readonly [RegExp, string])[] = [
  [/^xl\//, 'is an Excel workbook (.xlsx): save it as CSV'],
  [/^word\//, 'is a Word document (.docx): save its table as CSV'],
  [/^\[Content_Types\]\.xml$/, 'is a document of Microsoft Office: save it as CSV'],
  [/^mimetype$/, 'is a document of LibreOffice (.ods, .odt) or an e-book: save it as CSV'],
  [/^META-INF\/MANIFEST\.MF$/, 'is a Java archive, not data'],
];

/** @throws {CompressedDataError} if the archive is a document */
export function assertNoDocument(names: readonly string[]): void {
  for (const [pattern, message] of DOCUMENTS) {
    if (names.some((name) => pattern.test(name))) throw new CompressedDataError(message);
  }
}

/**
 * @param names of entries that may be tables
 * @throws {CompressedDataError} unless there is one, and no more
 */
export function assertOneEntry(names: readonly string[]): void {
  assertNoDocument(names);
  if (names.length === 1) return;
  if (names.length === 0) throw new CompressedDataError('is a zip archive without a file in it');
  const list = names.slice(0, MOST_NAMES).map((name) => `"${name}"`);
  const more = names.length > MOST_NAMES ? ' …' : '';
  throw new CompressedDataError(
    `is a zip archive of several files (${list.join(', ')}${more}); load one of them with: unzip -p FILE ${JSON.stringify(names[0])} | spillway load - …`,
  );
}
