/** A long array of JSON for an array column: PostgreSQL's literal is made of the text, without a value for each element. Pure. */

import { arrayText } from '../../postgres/array-text.js';
import { compileEncoder, type ColumnType } from '../../postgres/text-encoders.js';
import { eachElement, WrittenJson } from './long-record.js';
import { Pieces } from './pieces.js';

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;

/** So many elements become text together. */
const SOME_ELEMENTS = 1024;
/** The server knows six dimensions, and refuses what has more. */
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

  /** @throws {ValueFault} of an element */
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
  /** Which numbers are literals as they are: integers of so many digits; any, if that is infinite. */
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

  /** Whether only the brackets differ from the literal. */
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
      } else if (code === NULL_WORD && text.startsWith('null', at)) at += 3;
      else if (!(code === MINUS ? most > 0 : most === Infinity && OF_NUMBERS.has(code))) return false;
    }
    return true;
  }

  #written(text: string, depth: number): string {
    const areDimensions = !this.#isJson || isOfArrays(text);
    const pieces = new Pieces();
    let divider = '{';
    let values: unknown[] = [];
    const add = (piece: string): void => {
      pieces.add(divider);
      pieces.add(piece);
      divider = this.#delimiter;
    };
    const join = (): void => {
      if (values.length > 0) add(arrayText(values, this.#element, this.#delimiter).slice(1, -1));
      values = [];
    };
    eachElement(text, (value) => {
      if (areDimensions && value instanceof WrittenJson && value.isArray) {
        join();
        add(this.of(value.text, depth + 1));
        return;
      }
      values.push(value === null ? null : this.#toField(value));
      if (values.length === SOME_ELEMENTS) join();
    });
    join();
    pieces.add(text === '[]' ? '{}' : '}');
    return pieces.text;
  }
}

const NULL_WORD = 0x6e;
/** By the type's name. */
const FREE_DIGITS: ReadonlyMap<string, number> = new Map([
  ['int2', 4],
  ['int4', 9],
  ['int8', 15],
  ...['numeric', 'float4', 'float8', 'text', 'varchar', 'bpchar'].map((name) => [name, Infinity] as const),
]);
/** Beside digits and the minus sign. */
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
  let areArrays = true;
  eachElement(text, (value) => {
    areArrays &&= value instanceof WrittenJson && value.isArray;
  });
  return areArrays;
}

/** With braces for the brackets that are not within a text. */
function bracesFor(text: string): string {
  const pieces = new Pieces();
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = Math.max(at, plainTextEnd(text, at + 1));
    if (code !== OPENING_BRACKET && code !== CLOSING_BRACKET) continue;
    pieces.add(text.slice(from, at));
    pieces.add(code === OPENING_BRACKET ? '{' : '}');
    from = at + 1;
  }
  return pieces.text;
}
