/**
 * Finds the row that the server blames. In text format the server counts lines, and one row is one line: line N is row N − 1, for
 * conversions and for constraints alike. Only the CONTEXT of its error tells it (`err.where`):
 *
 *     COPY flights, line 3, column delay: "abc"
 *
 * The words are in the server's language, and the value (cut at 100 bytes) may itself read like such a line. Pure.
 */

export interface ErrorPosition {
  /** Place in the batch, from 0. */
  row: number;
  column: string | undefined;
}

interface Candidate extends ErrorPosition {
  /** What the server quotes: a column's value, or the row's whole line. Without the end where it was cut. */
  quoted: string | undefined;
}

/** How the row was sent: one column's text as the server reads it, or the line. */
export type SentText = (row: number, column: string | undefined) => string | undefined;

/**
 * @param where CONTEXT of the server's error
 * @param table name of the table, as in the catalogue
 * @param columns names of the columns of the COPY
 * @param rows number of rows in the batch
 */
export function findErrorPosition(
  where: string | undefined,
  table: string,
  columns: readonly string[],
  rows: number,
  sentText: SentText,
): ErrorPosition | undefined {
  if (where === undefined) return undefined;
  const candidates = findCandidates(where, table, columns).filter(({ row }) => row >= 0 && row < rows);
  if (candidates.length <= 1) return candidates[0];
  // Some value reads like a line of context: the true one quotes what we sent.
  return candidates.find(({ row, column, quoted }) => {
    const sent = sentText(row, column);
    return quoted !== undefined && sent?.startsWith(quoted) === true;
  });
}

function findCandidates(where: string, table: string, columns: readonly string[]): Candidate[] {
  const name = table.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const found: Candidate[] = [];
  // At the start of a line; a language may have words before and after the name, but the first number after it is the line's.
  for (const match of where.matchAll(
    new RegExp(`(?:^|\\n)[^\\n"]{0,20}COPY ${name}\\b?[^\\d\\n"]*(\\d+)`, 'g'),
  )) {
    const rest = where.slice(match.index + match[0].length);
    const quote = rest.search(/["„«“「]/);
    const words = quote < 0 ? rest.split('\n', 1)[0]! : rest.slice(0, quote);
    found.push({
      row: Number(match[1]) - 1,
      column: columns.find((column) => words.includes(` ${column}:`) || words.includes(` ${column} :`)),
      quoted: quote < 0 ? undefined : withoutEnd(rest.slice(quote + 1)),
    });
  }
  return found;
}

/** The context of COPY is the last: its quote ends with the text. */
function withoutEnd(quoted: string): string {
  return quoted.replace(/["”“»」]\s*$/, '').replace(/\.\.\.$/, '');
}
