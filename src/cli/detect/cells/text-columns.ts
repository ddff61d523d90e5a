/**
 * Judges by a column without a kind of its own whether the first record is one of those below it, or names them. Pure.
 *
 * Each sign has points, for data (`alike`) or for a header (`unlike`):
 *
 * ```text
 *                                                              alike   unlike
 *   the first field comes again below it, often                    3
 *   it comes again once, or seldom                                 2
 *   it is a number or a date                                       3
 *   it is a text above numbers with a few texts among them                  2
 *   it begins a sorted column, or breaks its order                 1        2
 *   it has the one length and case of all others, or has not       1        1
 * ```
 */

import { kindOf } from './cell-kind.js';
import { isYear } from './number-names.js';

/** Fewer values below the first field say nothing of an order, or of a form. */
const LEAST_VALUES = 5;
const LEAST_SORTED = 8;
/** The share of values from which on a text is a category. */
const OFTEN = 0.05;
/** The share of numbers from which on a column is one of numbers. */
const MOSTLY = 0.8;

export interface Points {
  readonly alike: number;
  readonly unlike: number;
}

const NONE: Points = { alike: 0, unlike: 0 };

/** @param isNumberName the column may be named by a number */
export function pointsOf(cell: string, cells: readonly string[], isNumberName: boolean): Points {
  const field = cell.trim();
  const kind = kindOf(field);
  const values = cells.map((value) => value.trim()).filter((value) => kindOf(value) !== 'empty');
  if (kind === 'empty') return NONE;
  if (kind === 'date' || (kind === 'number' && !isNumberName && !isYear(field))) {
    return { alike: 3, unlike: 0 };
  }
  if (values.length === 0) return NONE;
  const again = values.filter((value) => value === field).length;
  if (again > 0) return { alike: again > 1 && again >= OFTEN * values.length ? 3 : 2, unlike: 0 };
  if (values.length < LEAST_VALUES) return NONE;
  const numbers = values.filter((value) => kindOf(value) === 'number').length;
  if (kind === 'text' && numbers >= MOSTLY * values.length) return { alike: 0, unlike: 2 };
  const order = orderOf(field, values);
  const form = formOf(field, values);
  return { alike: order.alike + form.alike, unlike: order.unlike + form.unlike };
}

/** A name seldom comes before the first of many sorted values. */
function orderOf(field: string, values: readonly string[]): Points {
  if (new Set(values).size < LEAST_SORTED) return NONE;
  for (const fold of [(text: string) => text, (text: string) => text.toLowerCase()]) {
    const isSorted = values.every((value, at) => at === 0 || fold(values[at - 1]!) <= fold(value));
    if (isSorted) return fold(field) <= fold(values[0]!) ? { alike: 1, unlike: 0 } : { alike: 0, unlike: 2 };
  }
  return NONE;
}

/** Codes such as `DE`, `FR`: a name may be as long, and in capitals. */
function formOf(field: string, values: readonly string[]): Points {
  const form = lengthAndCase(values[0]!);
  if (!values.every((value) => lengthAndCase(value) === form)) return NONE;
  return lengthAndCase(field) === form ? { alike: 1, unlike: 0 } : { alike: 0, unlike: 1 };
}

function lengthAndCase(text: string): string {
  return `${text.length} ${text === text.toUpperCase()} ${text === text.toLowerCase()}`;
}
