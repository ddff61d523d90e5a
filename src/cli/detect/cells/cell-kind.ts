/** What a field looks like, for the judgement whether a first line is a header. Looser than the types of `--create`. Pure. */

export type CellKind = 'empty' | 'number' | 'date' | 'boolean' | 'address' | 'text';

/** Texts that usually stand for a value that is missing. */
export const USUAL_NULLS: readonly string[] = ['NA', 'N/A', 'n/a', 'NULL', 'null', '#N/A', '-', '?', '.'];
const MISSING = new Set(['', ...USUAL_NULLS]);

/** With thousands separators, a decimal comma, a currency, a per cent sign, or in scientific notation. */
const NUMBER =
  /^\s*[-+(]?\s*(?:[$€£¥]\s*)?(?:\d+|\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+)?(?:[.,]\d*)?(?:[eE][-+]?\d+)?\s*(?:%|[$€£¥]|\))?\s*$/;
const DATE =
  /^\s*(?:\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}[-\s/][A-Za-z]{3,9}[-\s/,]+\d{2,4}|[A-Za-z]{3,9}\.?\s+\d{1,2},?\s+\d{4})?(?:[T\s]*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[AaPp][Mm])?(?:\s*(?:Z|UTC|[-+]\d{2}:?\d{2}))?)?\s*$/;
const BOOLEAN = /^(?:true|false|yes|no)$/i;
/** Of a page, a mailbox or a machine. */
const ADDRESS =
  /^\s*(?:[a-z][a-z\d+.-]*:\/\/\S+|www\.\S+|[^\s@,;]+@[^\s@,;]+\.[a-z]{2,}|\d{1,3}(?:\.\d{1,3}){3}(?:\/\d+)?)\s*$/i;

const HEXADECIMAL = /^\s*0x[\da-f]+\s*$/i;

/** Most numbers: the other pattern takes longer. */
const PLAIN_NUMBER = /^-?\d+(?:\.\d+)?$/;

export function kindOf(cell: string): CellKind {
  if (PLAIN_NUMBER.test(cell)) return 'number';
  if (MISSING.has(cell.trim())) return 'empty';
  if (/\d/.test(cell)) {
    if (NUMBER.test(cell) || HEXADECIMAL.test(cell)) return 'number';
    if (DATE.test(cell)) return 'date';
  }
  if (BOOLEAN.test(cell)) return 'boolean';
  return ADDRESS.test(cell) ? 'address' : 'text';
}
