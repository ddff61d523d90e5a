/** The name that all runs of an import share. It may be any text, because it is only sent as a parameter. */

/** What an entry of PostgreSQL's index holds, with room to spare. */
const LONGEST_IMPORT_ID_BYTES = 1_000;

/** What an import id may be, for messages. */
export const IMPORT_ID_RANGE = `a text of 1 to ${LONGEST_IMPORT_ID_BYTES} bytes in UTF-8, without U+0000`;

export function isImportId(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.isWellFormed() &&
    !value.includes('\0') &&
    Buffer.byteLength(value) <= LONGEST_IMPORT_ID_BYTES
  );
}

/** For people. */
export function showImportId(importId: string): string {
  return JSON.stringify(importId.length > 100 ? `${importId.slice(0, 100)}…` : importId);
}
