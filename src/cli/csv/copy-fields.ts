/**
 * Cuts a text of lines in COPY's text format into fields. Pure.
 *
 * A backslash begins an escape, and takes away the meaning of a delimiter behind it. NULL is found before escapes are undone. The server
 * reads the same fields: see "Text Format" in the documentation of COPY.
 */

import { isUtf8 } from 'node:buffer';
import { BACKSLASH, CARRIAGE_RETURN } from '../../common/bytes.js';
import { LEFT_OUT } from '../common/text.js';
import { MOST_FIELDS, type CsvField, type FieldCutter } from './record-fields.js';

const END_MARKER = '\\.';
const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
/** A byte in octal or hexadecimal digits. */
const BYTE_ESCAPE = /\\(?:[0-7]|x[\da-fA-F])/;
const ESCAPE = /\\(?:([0-7]{1,3})|x([\da-fA-F]{1,2})|([^]))/g;

export class CopyFields implements FieldCutter {
  readonly text: string;
  readonly lines = 1;
  at = 0;
  start = 0;
  end = 0;
  fault: string | undefined;
  isEndMarker = false;
  readonly #delimiter: string;
  readonly #nullText: string;
  readonly #hasFaults: boolean;

  /** @param hasFaults U+0000 begins a line whose record a converter could not write: then come the fault, U+0000, and the record */
  constructor(text: string, delimiter: string, nullText: string, hasFaults = false) {
    this.text = text;
    this.#hasFaults = hasFaults;
    this.#delimiter = delimiter;
    this.#nullText = nullText;
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  next(): CsvField[] {
    const { text } = this;
    const lineFeed = text.indexOf('\n', this.at);
    let end = lineFeed === -1 ? text.length : lineFeed;
    if (end > this.at && text.charCodeAt(end - 1) === CARRIAGE_RETURN) end -= 1;
    const line = text.slice(this.at, end);
    this.start = this.at;
    this.end = end;
    this.at = lineFeed === -1 ? text.length : lineFeed + 1;
    this.fault = undefined;
    this.isEndMarker = line === END_MARKER;
    return this.#fieldsOf(line);
  }

  #fieldsOf(line: string): CsvField[] {
    if (this.#hasFaults && line.startsWith(LEFT_OUT)) {
      const [, fault, record = ''] = line.split(LEFT_OUT);
      this.fault = fault!;
      this.start = this.end - record.length;
      return [];
    }
    if (line.includes('\r')) this.fault = 'a carriage return stands alone; in a value it is written as \\r';
    if (line.includes('\\')) return this.#unescapedFields(line);
    const fields: CsvField[] = line.split(this.#delimiter, MOST_FIELDS + 1);
    for (let index = 0; index < fields.length; index += 1)
      if (fields[index] === this.#nullText) fields[index] = null;
    return fields;
  }

  #unescapedFields(line: string): CsvField[] {
    const delimiter = this.#delimiter.charCodeAt(0);
    const fields: CsvField[] = [];
    let start = 0;
    for (let at = 0; at <= line.length && fields.length <= MOST_FIELDS; at += 1) {
      const code = line.charCodeAt(at);
      if (at === line.length || code === delimiter) {
        const written = line.slice(start, at);
        const field = written === this.#nullText ? null : unescaped(written);
        if (field === undefined)
          this.fault ??= `field ${fields.length + 1} is not UTF-8, once its escapes are undone`;
        fields.push(field ?? null);
        start = at + 1;
      } else if (code === BACKSLASH) {
        at += 1;
        if (at === line.length)
          this.fault ??=
            'a backslash stands at the end of the line; in a value, a line break is written as \\n';
        else if (line[at] === '.' && !this.isEndMarker) this.fault ??= '\\. does not stand alone on its line';
      }
    }
    return fields;
  }
}

/** Cuts one line into texts of which none is NULL. */
export function copyTexts(line: string, delimiter: string): string[] {
  // No field is a line feed.
  return new CopyFields(line, delimiter, '\n').next() as string[];
}

/** Returns undefined if the bytes that are written as escapes are not UTF-8. */
function unescaped(field: string): string | undefined {
  if (!field.includes('\\')) return field;
  if (!BYTE_ESCAPE.test(field)) {
    return field.replace(/\\([^])/g, (_, escaped: string) => SIMPLE_ESCAPES[escaped] ?? escaped);
  }
  // Several bytes may make one character.
  const latin = Buffer.from(field).toString('latin1');
  const unescapedLatin = latin.replace(
    ESCAPE,
    (_, octal: string | undefined, hex: string | undefined, escaped: string) => {
      if (octal === undefined && hex === undefined) return SIMPLE_ESCAPES[escaped] ?? escaped;
      return String.fromCharCode((octal === undefined ? parseInt(hex!, 16) : parseInt(octal, 8)) & 0xff);
    },
  );
  const bytes = Buffer.from(unescapedLatin, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}
