/** Scans a JSON text without making values of it, at any depth of nesting. Accepts what `JSON.parse` accepts. Pure. */

import {
  BACKSLASH,
  CARRIAGE_RETURN,
  COLON,
  COMMA,
  LETTER_E,
  LETTER_U,
  LINE_FEED,
  MINUS,
  NINE,
  OPENING_BRACE,
  OPENING_BRACKET,
  PLUS,
  POINT,
  QUOTE,
  SLASH,
  SPACE,
  TAB,
  ZERO,
} from '../../../common/bytes.js';

/** The bit that makes a letter lower case. */
const SMALL = 0x20;
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'));
const LITERALS = ['true', 'false', 'null'];

/** A text that is not JSON. @param at offset of the fault */
export class JsonFault extends SyntaxError {
  override readonly name = 'JsonFault';

  constructor(text: string, at: number) {
    const character = String.fromCodePoint(text.codePointAt(at) ?? SPACE);
    super(
      at >= text.length
        ? 'the text ends in the middle of a value'
        : `unexpected token '${character}' at character ${at + 1}`,
    );
  }
}

export class JsonScan {
  readonly text: string;
  at = 0;
  /** The skipped text had no white space, and no escape that a writer of JSON would not make. */
  isCompact = true;
  /** Closing characters of the open arrays and objects, the innermost last. */
  readonly #closings: number[] = [];

  constructor(text: string) {
    this.text = text;
  }

  fault(): JsonFault {
    return new JsonFault(this.text, this.at);
  }

  /** Code of the next character; NaN at the end. */
  get next(): number {
    return this.text.charCodeAt(this.at);
  }

  skipSpace(): void {
    const { text } = this;
    const start = this.at;
    let at = start;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code !== SPACE && code !== LINE_FEED && code !== TAB && code !== CARRIAGE_RETURN) break;
      at += 1;
    }
    if (at === start) return;
    this.at = at;
    this.isCompact = false;
  }

  /** Skips one character and the white space around it. @throws {JsonFault} */
  pass(code: number): void {
    this.skipSpace();
    if (this.next !== code) throw this.fault();
    this.at += 1;
    this.skipSpace();
  }

  /** @throws {JsonFault} */
  skipString(): void {
    const { text } = this;
    if (this.next !== QUOTE) throw this.fault();
    let at = this.at + 1;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) at = this.#escapeEnd(at);
      else if (code >= SPACE) at += 1;
      else this.#failAt(at);
    }
    this.at = at + 1;
  }

  /** Skips a number, `true`, `false`, `null` or a string. @throws {JsonFault} */
  #skipScalar(): void {
    if (this.next === QUOTE) {
      this.skipString();
      return;
    }
    const word = LITERALS.find((one) => one.charCodeAt(0) === this.next);
    if (word === undefined) this.#skipNumber();
    else if (this.text.startsWith(word, this.at)) this.at += word.length;
    else throw this.fault();
  }

  #skipNumber(): void {
    if (this.next === MINUS) this.at += 1;
    if (this.next === ZERO) this.at += 1;
    else this.#skipDigits();
    if (this.next === POINT) {
      this.at += 1;
      this.#skipDigits();
    }
    if ((this.next | SMALL) !== LETTER_E) return;
    this.at += 1;
    if (this.next === PLUS || this.next === MINUS) this.at += 1;
    this.#skipDigits();
  }

  /** Skips digits. @throws {JsonFault} if there is none */
  #skipDigits(): void {
    const { text } = this;
    let { at } = this;
    for (let code = text.charCodeAt(at); code >= ZERO && code <= NINE; code = text.charCodeAt(at)) at += 1;
    if (at === this.at) throw this.fault();
    this.at = at;
  }

  /** @param at of the backslash */
  #escapeEnd(at: number): number {
    const letter = this.text.charCodeAt(at + 1);
    if (letter === SLASH || letter === LETTER_U) this.isCompact = false;
    if (ESCAPED.has(letter)) return at + 2;
    if (letter !== LETTER_U) this.#failAt(at + 1);
    for (let digit = at + 2; digit < at + 6; digit += 1)
      if (!isHexDigit(this.text.charCodeAt(digit))) this.#failAt(digit);
    return at + 6;
  }

  #skipKey(): void {
    this.skipString();
    this.pass(COLON);
  }

  /** Skips any value. Iterative, so that nesting needs no call stack. @throws {JsonFault} */
  skipValue(): void {
    for (;;) {
      if (this.#opensValue()) continue;
      if (this.#endsValues()) return;
    }
  }

  /** Skips a scalar or an empty value, or enters one. Returns `true` if it has entered. */
  #opensValue(): boolean {
    const { next } = this;
    if (next !== OPENING_BRACE && next !== OPENING_BRACKET) {
      this.#skipScalar();
      return false;
    }
    // Both closing characters come two after the opening one.
    this.#closings.push(next + 2);
    this.at += 1;
    this.skipSpace();
    if (this.next === next + 2) return false;
    if (next === OPENING_BRACE) this.#skipKey();
    return true;
  }

  /** Skips what follows a value, up to the next value. Returns `true` if the outermost has ended. */
  #endsValues(): boolean {
    const closings = this.#closings;
    while (closings.length > 0) {
      const closing = closings[closings.length - 1]!;
      this.skipSpace();
      const { next } = this;
      if (next === COMMA) {
        this.at += 1;
        this.skipSpace();
        if (closing === OPENING_BRACE + 2) this.#skipKey();
        return false;
      }
      if (next !== closing) throw this.fault();
      this.at += 1;
      closings.pop();
    }
    return true;
  }

  #failAt(at: number): never {
    this.at = at;
    throw this.fault();
  }
}

function isHexDigit(code: number): boolean {
  const letter = code | SMALL;
  return (code >= ZERO && code <= NINE) || (letter >= 0x61 && letter <= 0x66);
}
