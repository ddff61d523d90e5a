/** Converts a long JSON array to PostgreSQL's array literal as text, without a value for each element. Pure. */

import {
  BACKSLASH,
  CLOSING_BRACKET,
  COMMA,
  LETTER_N,
  MINUS,
  NINE,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
  ZERO,
} from '../../../common/bytes.js';
import { quoteElement } from '../../../postgres/encoding/text/array-text.js';
import { compileEncoder, type ColumnType } from '../../../postgres/encoding/text/text-encoders.js';
import { jsonLiteral } from './json-literal.js';
import { LiteralBytes } from './literal-bytes.js';
import { compactValue } from './long-record.js';
import { EXACT_CHARACTERS } from './written-number.js';

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
    return this.#literal.of(this.text);
  }
}

/** Makes literals for the arrays of one type. */
export class ArrayLiteral {
  readonly #toField: ElementField;
  readonly #element: ReturnType<typeof compileEncoder>;
  /** The character between elements. */
  readonly #delimiter: number;
  readonly #isJson: boolean;
  /** Integers of at most so many digits need no change; `Infinity`: no number does. */
  readonly #freeDigits: number;
  /** Whether its numbers are integers: `1.0` is 1. */
  readonly #isWhole: boolean;
  readonly #takesTexts: boolean;

  /** @param toField how an element is passed to the column @param isJson whether elements are JSON: an array among them may be a value */
  constructor(
    { element, delimiter }: ColumnType & { kind: 'array' },
    toField: ElementField,
    isJson: boolean,
  ) {
    this.#toField = toField;
    this.#element = compileEncoder(element);
    this.#delimiter = delimiter.charCodeAt(0);
    this.#isJson = isJson;
    const isPlain = element.kind === 'scalar' && !isJson && delimiter === ',';
    this.#takesTexts = isPlain;
    this.#freeDigits = isPlain ? (FREE_DIGITS.get(element.name) ?? 0) : 0;
    this.#isWhole = this.#freeDigits > 0 && this.#freeDigits < Infinity;
  }

  of(text: string): string {
    if (this.#isLiteral(text)) return bracesFor(text);
    return this.#isJson ? jsonLiteral(text, this.#delimiter) : this.#written(text);
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

  #written(text: string): string {
    const literal = new LiteralBytes(text);
    while (!literal.isAtEnd) {
      const { next } = literal;
      if (next === OPENING_BRACKET || next === CLOSING_BRACKET) literal.writeBrace();
      else if (next === COMMA) literal.writeDelimiter(this.#delimiter);
      else if (next === LETTER_N) literal.writeNull();
      else if (next === QUOTE && this.#takesTexts) literal.writeText();
      else if (next === OPENING_BRACE && this.#takesTexts) literal.writeJson();
      else this.#writeElement(literal);
    }
    return literal.literal;
  }

  #writeElement(literal: LiteralBytes): void {
    if (this.#freeDigits > 0 && literal.copyNumber(this.#freeDigits)) return;
    const json = literal.takeValue();
    literal.write(
      this.#wholeNumber(json) ?? quoteElement(this.#element.toText(this.#toField(compactValue(json)))),
    );
  }

  /** Returns the digits of an integer that is spelled otherwise, as `toField` does, but without an object for the number. */
  #wholeNumber(json: string): string | undefined {
    if (!this.#isWhole || json.length > EXACT_CHARACTERS) return undefined;
    const number = Number(json);
    const text = String(number);
    return Number.isSafeInteger(number) && text !== json ? text : undefined;
  }
}

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
