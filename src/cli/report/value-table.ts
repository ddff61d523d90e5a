/** Rows as a table of plain text. Pure. */

import { counted } from '../common/counted.js';
import { printable } from '../common/terminal.js';

const NUMERIC_TYPES: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701, 790, 1700]);

/** Numbers to the right, everything else to the left; line breaks and other control characters are escaped. */
export function formatTable(
  fields: readonly { name: string; dataTypeID: number }[],
  rows: readonly (readonly (string | null)[])[],
): string {
  const header = fields.map((field) => printable(field.name));
  const cells = rows.map((row) => row.map((value) => (value === null ? 'NULL' : printable(value))));
  const widths = header.map((name, column) =>
    cells.reduce((width, row) => Math.max(width, widthOf(row[column]!)), widthOf(name)),
  );
  const right = fields.map((field) => NUMERIC_TYPES.has(field.dataTypeID));
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, column) => pad(text, widths[column]!, right[column]!))
      .join(' | ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('-+-');
  const total = `(${counted(rows.length, 'row')})`;
  return `${[line(header), rule, ...cells.map(line), total].join('\n')}\n`;
}

function pad(text: string, width: number, right: boolean): string {
  const blanks = ' '.repeat(width - widthOf(text));
  return right ? blanks + text : text + blanks;
}

/** Counted in characters, not in UTF-16 units. */
function widthOf(text: string): number {
  return text.length - (text.match(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)?.length ?? 0);
}
