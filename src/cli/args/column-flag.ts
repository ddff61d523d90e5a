/** Flags for single columns, as messages give them. Pure. */

/** Returns the flag as it can be copied into a shell. */
export function columnFlag(flag: '--type' | '--null-for', column: string, value: string): string {
  return `${flag} ${inShell(`${flagName(column)}=${value}`)}`;
}

/** A flag divides at the first equals sign. */
function flagName(column: string): string {
  return /^"|=/.test(column) ? `"${column.replaceAll('"', '""')}"` : column;
}

function inShell(word: string): string {
  return /^[\w=.,:+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
