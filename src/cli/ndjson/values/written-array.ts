/** Converts a long JSON array to PostgreSQL's array literal as text, without a value for each element. Pure. */

import {
  BACKSLASH,
  CLOSING_BRACKET,
  COMMA,
  LETTER_N,
  MINUS,
  NINE,
  OPENING_BRACKET,
  QUOTE,
  ZERO,
} from '../../../common/bytes.js';
import { arrayText } from '../../../postgres/encoding/text/array-text.js';
import { compileEncoder, type ColumnType } from '../../../postgres/encoding/text/text-encoders.js';
import { JsonScan } from './json-scan.js';
import { readElement, WrittenJson } from './long-record.js';
import { TextBuilder } from './text-builder.js';

/** Elements that become text together. */
const SOME_ELEMENTS = 1024;
/** Deeper arrays are not checked here: the server takes six dimensions and rejects the rest. */
const DEEPEST = 32;

export type ElementField = (value: unknown) => unknown;

export class WrittenArray {
  /** JSON without white space. */
  readonly text: string;
  readonly #literal: ArrayLiteral;

  constructor(text: string, literal: ArrayLiteral) {
    this.text = text;
    this.#literal = literal;
  }

  /** @throws {ValueFault} for an element that the type does not take */
  toPostgres(): string {
    return this.#literal.of(this.text, 0);
  }
}

/** Makes literals for the arrays of one type. */
export class ArrayLiteral {
  readonly #toField: ElementField;
  readonly #element: ReturnType<typeof compileEncoder>;
  readonly #delimiter: string;
  readonly #isJson: boolean;
  /** Integers of at most so many digits need no change; `Infinity`: no number does. */
  readonly #freeDigits: number;
  readonly #takesTexts: boolean;

  /** @param toField how an element is passed to the column @param isJson whether elements are JSON: an array among them may be a value */
  constructor(
    { element, delimiter }: ColumnType & { kind: 'array' },
    toField: ElementField,
    isJson: boolean,
  ) {
    this.#toField = toField;
    this.#element = compileEncoder(element);
    this.#delimiter = delimiter;
    this.#isJson = isJson;
    const isPlain = element.kind === 'scalar' && !isJson && delimiter === ',';
    this.#takesTexts = isPlain;
    this.#freeDigits = isPlain ? (FREE_DIGITS.get(element.name) ?? 0) : 0;
  }

  of(text: string, depth: number): string {
    if (depth > DEEPEST) return bracesFor(text);
    return this.#isLiteral(text) ? bracesFor(text) : this.#written(text, depth);
  }

  /** Returns whether only the brackets differ from the literal. */
  #isLiteral(text: string): boolean {
    if (!this.#takesTexts) return false;
    const most = this.#freeDigits;
    let digits = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code >= ZERO && code <= NINE) {
        digits += 1;
        if (digits > most) return false;
      } else if (code === COMMA || code === OPENING_BRACKET || code === CLOSING_BRACKET) digits = 0;
      else if (code === QUOTE) {
        const end = plainTextEnd(text, at + 1);
        if (end === -1) return false;
        at = end;
      } else if (code === LETTER_N && text.startsWith('null', at)) at += 3;
      else if (!(code === MINUS ? most > 0 : most === Infinity && OF_NUMBERS.has(code))) return false;
    }
    return true;
  }

  #written(text: string, depth: number): string {
    const areDimensions = !this.#isJson || isOfArrays(text);
    if (this.#isJson && !areDimensions) return this.#jsonValues(text);
    const builder = new TextBuilder();
    let divider = '{';
    let values: unknown[] = [];
    const add = (part: string): void => {
      builder.append(divider);
      builder.append(part);
      divider = this.#delimiter;
    };
    const join = (): void => {
      if (values.length > 0) add(arrayText(values, this.#element, this.#delimiter).slice(1, -1));
      values = [];
    };
    const scan = new JsonScan(text);
    scan.at = 1;
    while (scan.next !== CLOSING_BRACKET) {
      if (this.#takesTexts && scan.next === QUOTE) {
        join();
        add(this.#texts(scan));
      } else {
        const value = readElement(scan);
        if (areDimensions && value instanceof WrittenJson && value.isArray) {
          join();
          add(this.of(value.text, depth + 1));
        } else values.push(value === null ? null : this.#toField(value));
        if (values.length === SOME_ELEMENTS) join();
      }
      if (scan.next === COMMA) scan.at += 1;
    }
    join();
    builder.append(text === '[]' ? '{}' : '}');
    return builder.text;
  }

  /** Converts a run of strings, without the comma after them. A call for each would take several times as long. */
  #texts(scan: JsonScan): string {
    const { text, at } = scan;
    for (let count = 1; ; count += 1) {
      scan.skipString();
      if (count === SOME_ELEMENTS || scan.next !== COMMA || text.charCodeAt(scan.at + 1) !== QUOTE) break;
      scan.at += 1;
    }
    const written = text.slice(at, scan.at);
    const values = JSON.parse(`[${written}]`) as string[];
    // Goes through the encoder, which rejects such a text.
    const mayBeRefused = /\\u(?:0000|d[89a-f])/i.test(written);
    return mayBeRefused
      ? arrayText(values, this.#element, this.#delimiter).slice(1, -1)
      : quoteAll(values, this.#delimiter);
  }

  /** Returns the literal of an array of JSON: each element in quotes. */
  #jsonValues(text: string): string {
    // Numbers and literals need no quotes.
    if (!/["[{]/.test(text.slice(1)) && this.#delimiter === ',') return bracesFor(text);
    const builder = new TextBuilder();
    let divider = '{';
    const add = (part: string): void => {
      builder.append(divider);
      builder.append(part);
      divider = this.#delimiter;
    };
    let values: string[] = [];
    const join = (): void => {
      if (values.length > 0) add(quoteAll(values, this.#delimiter));
      values = [];
    };
    const scan = new JsonScan(text);
    scan.at = 1;
    while (scan.next !== CLOSING_BRACKET) {
      const { at, next } = scan;
      scan.skipValue();
      if (next === LETTER_N) {
        join();
        add('NULL');
      } else values.push(text.slice(at, scan.at));
      if (values.length === SOME_ELEMENTS) join();
      if (scan.next === COMMA) scan.at += 1;
    }
    join();
    builder.append('}');
    return builder.text;
  }
}

/** In place of a comma between elements: JSON has no such character. */
const DIVIDER = '\0';

/** Digits that need no change, by the type's name. */
const FREE_DIGITS: ReadonlyMap<string, number> = new Map([
  ['int2', 4],
  ['int4', 9],
  ['int8', 15],
  ...['numeric', 'float4', 'float8', 'text', 'varchar', 'bpchar'].map((name) => [name, Infinity] as const),
]);
/** Other characters of numbers, beside digits and the minus sign. */
const OF_NUMBERS = new Set(Buffer.from('.eE+'));

/** @returns where the quote stands that ends the text; -1 if it has an escape. */
function plainTextEnd(text: string, start: number): number {
  for (let at = start; ; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) return -1;
  }
}

function isOfArrays(text: string): boolean {
  if (text.charCodeAt(1) !== OPENING_BRACKET) return false;
  const scan = new JsonScan(text);
  scan.at = 1;
  while (text.charCodeAt(scan.at) === OPENING_BRACKET) {
    scan.skipValue();
    if (text.charCodeAt(scan.at) !== COMMA) return true;
    scan.at += 1;
  }
  return false;
}

/** Quotes all values in one pass over bytes: a regular expression takes 20 times as long. @param values well-formed, without U+0000 */
function quoteAll(values: readonly string[], delimiter: string): string {
  const from = Buffer.from(values.join(DIVIDER));
  const to = Buffer.allocUnsafe(3 * from.length + 2);
  const divider = delimiter.charCodeAt(0);
  let length = 0;
  to[length++] = QUOTE;
  for (const byte of from) {
    if (byte === 0) {
      to[length++] = QUOTE;
      to[length++] = divider;
      to[length++] = QUOTE;
    } else {
      if (byte === QUOTE || byte === BACKSLASH) to[length++] = BACKSLASH;
      to[length++] = byte;
    }
  }
  to[length++] = QUOTE;
  return to.toString('utf8', 0, length);
}

/** Replaces the brackets outside strings by braces. */
function bracesFor(text: string): string {
  const bytes = Buffer.from(text);
  let isText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    if (byte === QUOTE) isText = !isText;
    else if (isText) at += byte === BACKSLASH ? 1 : 0;
    else if (byte === OPENING_BRACKET || byte === CLOSING_BRACKET) bytes[at] = byte + 0x20;
  }
  return bytes.toString();
}
