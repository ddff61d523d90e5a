/**
 * Finds the row that an error of the server names. In text format the server counts lines, and one row is one line: line N is row N − 1, for
 * conversions and for constraints. It is only in the CONTEXT of the error (`err.where`):
 *
 *     COPY flights, line 3, column delay: "abc"
 *
 * The words are in the server's language, and the value (cut at 100 bytes) may itself read like such a line. Pure.
 */

export interface ErrorPosition {
  /** Place in the batch, from 0. */
  row: number;
  column: string | undefined;
  /** Nothing stands before it: no code of the user's (a trigger, a domain's function) was running. */
  isFirst: boolean;
}

interface Candidate extends ErrorPosition {
  /** What the server quotes: a column's value, or the row's whole line, without the marks of its end. */
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
  // At the start of a line. Most languages keep "COPY name, … N", Japanese and Korean put the name first; the number is next in all.
  const line = new RegExp(`(?:^|\\n)(?:COPY )?${name}(?![A-Za-z0-9_$])[^\\d\\n"]*(\\d+)`, 'g');
  for (const match of where.matchAll(line)) {
    const rest = where.slice(match.index + match[0].length);
    const column = findColumn(rest, columns);
    const quote = rest.slice(column?.end ?? 0).search(/["„«“「]/);
    found.push({
      row: Number(match[1]) - 1,
      column: column?.name,
      isFirst: match.index === 0,
      quoted: quote < 0 ? undefined : withoutEnd(rest.slice((column?.end ?? 0) + quote + 1)),
    });
  }
  return found;
}

/** `, column NAME:` in any language: the name (which may hold anything) after at most a few words, and a colon after it. */
function findColumn(rest: string, columns: readonly string[]): { name: string; end: number } | undefined {
  let found: { name: string; end: number } | undefined;
  for (const name of columns) {
    const end = endOfName(rest, name);
    if (end !== undefined && (found === undefined || name.length > found.name.length)) found = { name, end };
  }
  return found;
}

/** A short name may be the beginning of the words before it, too: `c` of `column`. */
function endOfName(rest: string, name: string): number | undefined {
  for (
    let start = rest.indexOf(` ${name}`);
    start >= 0 && start < 20;
    start = rest.indexOf(` ${name}`, start + 1)
  ) {
    const end = start + 1 + name.length;
    if (!rest.slice(0, start).includes('"') && /^ ?:/.test(rest.slice(end, end + 2))) return end;
  }
  return undefined;
}

/** The context of COPY is the last: its quote ends with the text. */
function withoutEnd(quoted: string): string {
  return quoted.replace(/["”“»」]\s*$/, '').replace(/\.\.\.$/, '');
}
