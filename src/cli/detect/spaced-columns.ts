/** Recognizes a table whose fields are divided by spaces: lines of numbers, as scientific programs write them. Pure. */

import type { DialectReading } from './candidates.js';
import { kindOf } from './cells/cell-kind.js';
import { isBlank, isComment } from './sample-records.js';

/** `even`: single spaces, which are a delimiter; `aligned`: spaces of changing number, which are none; `unsure`: texts may look like that. */
export type Spacing = 'even' | 'aligned' | 'unsure';

const LEAST_RECORDS = 3;

/**
 * Returns undefined if the lines are values of one column.
 *
 * A table has the same number of words in each line, and numbers in more than half of the columns. One of two columns may as well be a list
 * of telephone numbers or coordinates, and one with a column of texts a list of names with numbers: those are `unsure`.
 */
export function spacingOf({ records, start, fieldCount }: DialectReading): Spacing | undefined {
  if (fieldCount !== 1) return undefined;
  const body = records.slice(start).filter((record) => !isBlank(record) && !isComment(record, '#'));
  const lines = body.map(({ fields }) => fields[0]!);
  if (lines.length < LEAST_RECORDS || body.some(({ quoted }) => quoted[0])) return undefined;
  // Numbers and dates have spaces, too.
  if (lines.slice(1).every((line) => kindOf(line) !== 'text')) return undefined;
  const rows = lines.map((line) => line.trim().split(/\s+/));
  const [first, ...others] = rows as [string[], ...string[][]];
  const count = others[0]!.length;
  const isNamed = first.length === count || (first.length === count - 1 && count > 2);
  if (count < 2 || !isNamed || others.some((words) => words.length !== count)) return undefined;
  const numbers = others[0]!.filter((_, at) =>
    others.every((words) => kindOf(words[at]!) === 'number'),
  ).length;
  if (numbers <= count / 2) return undefined;
  if (count === 2 || numbers < count || first.length !== count) return 'unsure';
  return lines.every((line) => /^\S+(?: \S+)*$/.test(line)) ? 'even' : 'aligned';
}
