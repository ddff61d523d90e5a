/**
 * Whether fields have the form that the inferred type of their column was found by. Pure.
 *
 * The server reads more than that: `007` as 7, a date with a time as the date alone, `yes` as true. It would store something else than what
 * is written, in silence. So a field of another form does not fit, although the server would take it.
 */

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

/** Of a longer block the fields are looked at one by one: the engine of regular expressions needs memory for each byte. */
const LONGEST_BLOCK = 512 * 1024;

export interface FitOptions {
  readonly delimiter: string;
  readonly nullText: string;
}

export class FieldFit {
  readonly #types: (string | undefined)[];
  readonly #patterns = new Map<boolean, RegExp>();
  readonly #forms: (RegExp | undefined)[];
  readonly #options: FitOptions;

  /** @param types of the columns, in the order of a row's fields; undefined for one that takes anything */
  constructor(types: readonly (string | undefined)[], options: FitOptions) {
    this.#types = types.map((type) => (type !== undefined && Object.hasOwn(FORMS, type) ? type : undefined));
    this.#forms = this.#types.map(formOf);
    this.#options = options;
  }

  /** A column has got another type. */
  setType(place: number, type: string): void {
    this.#types[place] = type;
    this.#forms[place] = formOf(type);
    this.#patterns.clear();
  }

  /** Returns the place of the first value that does not fit; -1 without one. Only texts are looked at, as the server gets them. */
  misfit(values: readonly unknown[]): number {
    return this.#forms.findIndex((form, place) => {
      const value = textForServer(values[place]);
      return form !== undefined && typeof value === 'string' && !form.test(value);
    });
  }

  /** Whether all fields fit. @param block whole records, as the server is to read them */
  fits(block: Buffer, hasQuotes: boolean): boolean {
    if (this.#forms.every((form) => form === undefined)) return true;
    if (block.length > LONGEST_BLOCK) return false;
    const pattern = this.#patternFor(hasQuotes);
    pattern.lastIndex = 0;
    // Characters beyond ASCII are several here, none of which has a meaning.
    pattern.test(block.toString('latin1'));
    return pattern.lastIndex === block.length;
  }

  #patternFor(hasQuotes: boolean): RegExp {
    const known = this.#patterns.get(hasQuotes);
    if (known !== undefined) return known;
    const pattern = recordsPattern(this.#types, this.#options, hasQuotes);
    this.#patterns.set(hasQuotes, pattern);
    return pattern;
  }
}

function formOf(type: string | undefined): RegExp | undefined {
  return type === undefined ? undefined : new RegExp(`^(?:${FORMS[type]!})$`);
}

/** Matches records from the beginning on, up to the first one with a field that does not fit. */
function recordsPattern(
  types: readonly (string | undefined)[],
  options: FitOptions,
  hasQuotes: boolean,
): RegExp {
  const delimiter = escaped(options.delimiter);
  const nullText = escaped(options.nullText);
  const any = hasQuotes
    ? String.raw`(?:"(?:[^"]|"")*"|[^${inClass(options.delimiter)}"\r\n]*)`
    : String.raw`[^${inClass(options.delimiter)}\r\n]*`;
  const fields = types.map((type) => {
    if (type === undefined) return any;
    const form = FORMS[type]!;
    return hasQuotes ? `(?:${form}|"(?:${form})"|${nullText})` : `(?:${form}|${nullText})`;
  });
  return new RegExp(String.raw`(?:${fields.join(delimiter)}(?:\r?\n|$))*`, 'y');
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

function inClass(text: string): string {
  return text.replace(/[\\\]^-]/g, String.raw`\$&`);
}
