/** Decodes a file's bytes as text, in slices. Bytes that do not fit are an error: nothing is replaced. */

/** Decodes slices of one text, in their order. */
export interface SliceDecoder {
  /** Keeps the beginning of a character that the next slice ends. @throws {TypeError} for bytes that do not fit */
  decode(bytes: Uint8Array): string;
  /** @throws {TypeError} if the text ends within a character */
  end(): string;
}

/** @throws {RangeError} for an encoding that is not known */
export function createDecoder(encoding: string): SliceDecoder {
  const label = labelOf(encoding);
  if (label === WINDOWS_1252) return new Windows1252Decoder();
  if (UTF_32.has(label)) return new Utf32Decoder(label === 'utf-32le');
  const decoder = new TextDecoder(label, { fatal: true });
  return {
    decode: (bytes) => decoder.decode(bytes, { stream: true }),
    end: () => decoder.decode(),
  };
}

const WINDOWS_1252 = 'windows-1252';
/** Not part of the Encoding Standard. */
const UTF_32 = new Set(['utf-32le', 'utf-32be']);

/** Returns the name of an encoding by the Encoding Standard. @throws {RangeError} for one that is not known */
export function labelOf(encoding: string): string {
  const label = encoding.trim().toLowerCase();
  return UTF_32.has(label) ? label : new TextDecoder(encoding).encoding;
}

/** What windows-1252 has in place of the control characters from U+0080 to U+009F; an empty text is a byte that it leaves open. */
const PUNCTUATION = [
  ...['€', '', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '', 'Ž', ''],
  ...['', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '', 'ž', 'Ÿ'],
];

/** Node's own decoder takes it for ISO 8859-1 up to Node 23. */
class Windows1252Decoder implements SliceDecoder {
  decode(bytes: Uint8Array): string {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    return text.replace(/[\u0080-\u009f]/g, (character) => {
      const replacement = PUNCTUATION[character.charCodeAt(0) - 0x80]!;
      if (replacement === '') throw new TypeError('a byte is not used in windows-1252');
      return replacement;
    });
  }

  end(): string {
    return '';
  }
}

const NOTHING = Buffer.alloc(0);
/** Characters that are made of code points at once. */
const MOST_CODE_POINTS = 4096;
const BYTE_ORDER_MARK = 0xfeff;

class Utf32Decoder implements SliceDecoder {
  readonly #isLittleEndian: boolean;
  /** The beginning of a character. */
  #rest = NOTHING;
  #isBeginning = true;

  constructor(isLittleEndian: boolean) {
    this.#isLittleEndian = isLittleEndian;
  }

  decode(bytes: Uint8Array): string {
    const input = Buffer.concat([this.#rest, bytes]);
    const whole = input.length - (input.length % 4);
    this.#rest = input.subarray(whole);
    let text = '';
    let codes: number[] = [];
    for (let at = 0; at < whole; at += 4) {
      const code = this.#isLittleEndian ? input.readUInt32LE(at) : input.readUInt32BE(at);
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        throw new TypeError('no character has such a number');
      const isMark = this.#isBeginning && code === BYTE_ORDER_MARK;
      this.#isBeginning = false;
      if (!isMark) codes.push(code);
      if (codes.length < MOST_CODE_POINTS) continue;
      text += String.fromCodePoint(...codes);
      codes = [];
    }
    return text + String.fromCodePoint(...codes);
  }

  end(): string {
    if (this.#rest.length > 0) throw new TypeError('the text ends within a character');
    return '';
  }
}
