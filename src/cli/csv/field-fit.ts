/**
 * Whether fields have the form that the inferred type of their column was found by. Pure.
 *
 * The server reads more than that: `007` as 7, a date with a time as the date alone, `yes` as true. It would store something else than what
 * is written, in silence. So a field of another form does not fit, although the server would take it.
 */

import { LINE_FEED } from '../../common/bytes.js';
import { textForServer } from '../values/converted-field.js';

const DAY = String.raw`\d{4}-\d\d-\d\d`;
const TIME = String.raw`[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?`;
const ZONE = String.raw`(?:Z|[+-]\d\d(?::?\d\d)?)`;
const HEX = '[0-9a-f]';

/** By type; see `TypeInference`. What is out of range is left to the server, which refuses it. A type without a form takes anything. */
const FORMS: Readonly<Record<string, string>> = {
  boolean: '[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]',
  bigint: String.raw`0|-?[1-9]\d*`,
  numeric: String.raw`0|-?[1-9]\d*(?:\.\d*)?|-?0\.\d*|-?\.\d+`,
  date: DAY,
  timestamp: `${DAY}(?:${TIME})?`,
  timestamptz: `${DAY}${TIME}${ZONE}`,
  uuid: `${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}`,
};

/** The forms in which the server writes what it has stored, if they are others: only such a value can become a text again. */
const STORED_FORMS: Readonly<Record<string, string>> = {
  boolean: 'true|false',
  numeric: String.raw`0|-?[1-9]\d*(?:\.\d+)?|-?0\.\d+`,
};
/** Types that are written in several forms. */
const MANY_FORMS: ReadonlySet<string> = new Set(['timestamp', 'timestamptz']);

/** A pattern for more columns, or for less text, takes longer to be made than the fields take one by one. */
const MOST_COLUMNS_AT_ONCE = 30;
const FEWEST_BYTES_AT_ONCE = 16 * 1024;
const LINE_END = String.raw`(?:\r?\n|$)`;
/** Looked at together: the engine of regular expressions needs memory for each record, and for each byte in quotes. */
const LONGEST_BLOCK = 512 * 1024;

export interface FitOptions {
  readonly delimiter: string;
  readonly nullText: string;
}

/** What is known of the fields of one column. */
class ColumnFit {
  /** Texts that are NULL. */
  readonly nulls = new Set<string>();
  readonly #form: string;
  readonly #storedForm: string;
  #isAsWritten: boolean;

  constructor(type: string, isAsWritten = true) {
    this.#form = FORMS[type]!;
    this.#storedForm = STORED_FORMS[type] ?? this.#form;
    this.#isAsWritten = isAsWritten && !MANY_FORMS.has(type);
  }

  /** Every field so far is stored as it is written. */
  get isAsWritten(): boolean {
    return this.#isAsWritten;
  }

  get form(): string {
    return this.#isAsWritten ? this.#storedForm : this.#form;
  }

  takes(field: string): boolean {
    if (isOfForm(field, this.form)) return true;
    if (!this.#isAsWritten || !isOfForm(field, this.#form)) return false;
    this.#isAsWritten = false;
    return true;
  }
}

export class FieldFit {
  readonly #columns: (ColumnFit | undefined)[];
  readonly #patterns = new Map<boolean, RegExp>();
  readonly #options: FitOptions;

  /** @param types of the columns, in the order of a row's fields; undefined for one that takes anything */
  constructor(types: readonly (string | undefined)[], options: FitOptions) {
    this.#columns = types.map((type) => columnOf(type));
    this.#options = options;
  }

  /** A column has got another type. */
  setType(place: number, type: string | undefined): void {
    this.#columns[place] = columnOf(type, this.isAsWritten(place));
    this.#patterns.clear();
  }

  /** From now on a text of this column is NULL. */
  addNull(place: number, text: string): void {
    this.#columns[place]?.nulls.add(text);
  }

  /** Whether all fields of a column so far are stored as they are written. */
  isAsWritten(place: number): boolean {
    const column = this.#columns[place];
    return column?.isAsWritten === true && column.nulls.size === 0;
  }

  /**
   * Returns the place of the first text that does not fit, as the server gets it; -1 without one. Makes NULL what is to be NULL.
   */
  misfit(values: unknown[]): number {
    return this.#columns.findIndex((column, place) => {
      const value = textForServer(values[place]);
      if (column === undefined || typeof value !== 'string') return false;
      const { isAsWritten } = column;
      const isTaken = column.takes(value);
      if (isAsWritten !== column.isAsWritten) this.#patterns.clear();
      if (isTaken || !column.nulls.has(value)) return !isTaken;
      values[place] = null;
      return false;
    });
  }

  /** Whether all fields fit. @param block whole records, as the server is to read them */
  fits(block: Buffer, hasQuotes: boolean): boolean {
    if (this.#columns.every((column) => column === undefined)) return true;
    if (hasQuotes) return block.length <= LONGEST_BLOCK && this.#areFitting(block, hasQuotes);
    for (let start = 0; start < block.length;) {
      const end = endOfLines(block, start);
      if (!this.#areFitting(block.subarray(start, end), hasQuotes)) return false;
      start = end;
    }
    return true;
  }

  #areFitting(records: Buffer, hasQuotes: boolean): boolean {
    if (this.#columns.length > MOST_COLUMNS_AT_ONCE || records.length < FEWEST_BYTES_AT_ONCE)
      return this.#areFieldsFitting(records.toString('latin1'), hasQuotes);
    const pattern = this.#patternFor(hasQuotes);
    pattern.lastIndex = 0;
    // Characters beyond ASCII are several here, none of which has a meaning.
    pattern.test(records.toString('latin1'));
    return pattern.lastIndex === records.length;
  }

  /** Field by field: slower, but a pattern for each form is made in no time. */
  #areFieldsFitting(text: string, hasQuotes: boolean): boolean {
    const delimiter = escaped(this.#options.delimiter);
    const last = this.#columns.length - 1;
    const patterns = this.#columns.map((column, place) =>
      stickyPattern(
        fieldPattern(column?.form, this.#options, hasQuotes) + (place === last ? LINE_END : delimiter),
      ),
    );
    for (let at = 0; at < text.length;) {
      for (const pattern of patterns) {
        pattern.lastIndex = at;
        if (!pattern.test(text)) return false;
        at = pattern.lastIndex;
      }
    }
    return true;
  }

  #patternFor(hasQuotes: boolean): RegExp {
    const known = this.#patterns.get(hasQuotes);
    if (known !== undefined) return known;
    const forms = this.#columns.map((column) => column?.form);
    const pattern = recordsPattern(forms, this.#options, hasQuotes);
    this.#patterns.set(hasQuotes, pattern);
    return pattern;
  }
}

/** Returns where the lines end that are looked at together: at least one. */
function endOfLines(block: Buffer, start: number): number {
  if (block.length - start <= LONGEST_BLOCK) return block.length;
  const last = block.lastIndexOf(LINE_FEED, start + LONGEST_BLOCK - 1);
  const end = last >= start ? last : block.indexOf(LINE_FEED, start);
  return end === -1 ? block.length : end + 1;
}

function columnOf(type: string | undefined, isAsWritten?: boolean): ColumnFit | undefined {
  return type !== undefined && Object.hasOwn(FORMS, type) ? new ColumnFit(type, isAsWritten) : undefined;
}

const WHOLE_FORMS = new Map<string, RegExp>();

function isOfForm(field: string, form: string): boolean {
  let whole = WHOLE_FORMS.get(form);
  if (whole === undefined) WHOLE_FORMS.set(form, (whole = new RegExp(`^(?:${form})$`)));
  return whole.test(field);
}

/** Matches records from the beginning on, up to the first one with a field that does not fit. */
function recordsPattern(
  forms: readonly (string | undefined)[],
  options: FitOptions,
  hasQuotes: boolean,
): RegExp {
  const fields = forms.map((form) => fieldPattern(form, options, hasQuotes));
  return new RegExp(`(?:${fields.join(escaped(options.delimiter))}${LINE_END})*`, 'y');
}

function fieldPattern(form: string | undefined, options: FitOptions, hasQuotes: boolean): string {
  const nullText = escaped(options.nullText);
  if (form !== undefined)
    return hasQuotes ? `(?:${form}|"(?:${form})"|${nullText})` : `(?:${form}|${nullText})`;
  const plain = String.raw`[^${inClass(options.delimiter)}\r\n${hasQuotes ? '"' : ''}]*`;
  return hasQuotes ? `(?:"(?:[^"]|"")*"|${plain})` : plain;
}

const STICKY_PATTERNS = new Map<string, RegExp>();

function stickyPattern(source: string): RegExp {
  let pattern = STICKY_PATTERNS.get(source);
  if (pattern === undefined) STICKY_PATTERNS.set(source, (pattern = new RegExp(source, 'y')));
  return pattern;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

function inClass(text: string): string {
  return text.replace(/[\\\]^-]/g, String.raw`\$&`);
}
