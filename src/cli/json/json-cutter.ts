/**
 * Cuts JSON of any layout into records, one on each line, so that the rest of a load reads NDJSON.
 *
 * ```text
 *   [{…},{…}]              the elements of an array
 *   {…} {…}                objects one after another, with white space or RS (RFC 7464) between
 *   {"meta":…,"data":[…]}  the elements of the one list of objects in one object
 *   {"type":"FeatureCollection","features":[…]}  features: see `feature.ts`
 * ```
 *
 * Only what stands between the records is checked here; each record is checked by its reader. An error here ends the load, as nothing says
 * where the next record would begin.
 *
 * The first object may be a record or a wrapper. It is kept until that is known: until it has ended without a list of objects, or something
 * has followed, or the file has ended. One that is longer than `maxRecordBytes` can be no record.
 *
 * ```text
 *   BEGINNING ── [ ──▶ FIRST_ELEMENT ──▶ (element) ──▶ AFTER_ELEMENT ── , ──▶ ELEMENT ──▶ …        ] ──▶ END, or AFTER_MEMBER in a wrapper
 *       ├── { ──▶ first object ──▶ RECORDS ──▶ (record) ──▶ RECORDS ──▶ …
 *       └ RS ▶ RECORDS   └─────▶ FIRST_KEY ──▶ (key) ──▶ COLON ──▶ MEMBER ──▶ (value) ──▶ AFTER_MEMBER ── , ──▶ KEY ──▶ …
 *                                                                  └─ [ ──▶ IN_LIST ── { ──▶ FIRST_ELEMENT      } ──▶ END
 * ```
 */

import {
  CLOSING_BRACE,
  CLOSING_BRACKET,
  COLON,
  COMMA,
  LINE_FEED,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
  RECORD_SEPARATOR,
} from '../../common/bytes.js';
import { InputError } from '../common/errors.js';
import { LONGEST_MARK_BYTES, withoutByteOrderMark } from '../common/text.js';
import type { ByteConverter, SourceFile } from '../input/source.js';
import { ByteOutput } from './byte-output.js';
import { clashOf, FeatureColumns, NO_FEATURE } from './feature.js';
import { FEATURES, FirstObject } from './first-object.js';
import type { JsonShape } from './json-reading.js';
import { textOf } from './members.js';
import { ValueReader } from './value-reader.js';
import { severalLists, Wrapper } from './wrapper.js';
import { beginsNoValue, isWhiteSpace, showByte } from './value-scanner.js';

type Place =
  | 'BEGINNING'
  | 'FIRST_ELEMENT'
  | 'ELEMENT'
  | 'AFTER_ELEMENT'
  | 'RECORDS'
  | 'FIRST_KEY'
  | 'KEY'
  | 'COLON'
  | 'MEMBER'
  | 'IN_LIST'
  | 'AFTER_MEMBER'
  | 'END';

/** What the reader is in. `other`: a member of the wrapper. */
type Value = 'record' | 'feature' | 'key' | 'other';

const NOTHING = Buffer.alloc(0);
/** Values of other members are checked up to this length. */
const MOST_CHECKED_BYTES = 1024 * 1024;

export interface JsonCutterOptions {
  readonly maxRecordBytes: number;
  /** Receives what the records are, before the first one. */
  readonly onShape: (shape: JsonShape) => void;
}

/** Reads one file. */
export class JsonCutter implements ByteConverter {
  readonly #file: string;
  readonly #options: JsonCutterOptions;
  readonly #reader: ValueReader;
  #output = new ByteOutput();
  /** The file's first bytes, while they are too few for a byte order mark. */
  #beginning = NOTHING;
  #first: FirstObject | undefined;
  #place: Place = 'BEGINNING';
  #value: Value | undefined;
  /** Line on which the array or the wrapper begins. */
  #arrayLine = 0;
  #wrapperLine = 0;
  #records = 0;
  #wrapper: Wrapper | undefined;
  #columns: FeatureColumns | undefined;
  /** The byte order mark is behind us. */
  #hasBegun = false;

  constructor(file: SourceFile, options: JsonCutterOptions) {
    this.#file = file.name;
    this.#options = options;
    this.#reader = new ValueReader(file.name);
  }

  /** @throws {InputError} naming the line, for anything between the records that is no JSON */
  convert(bytes: Buffer, isLast: boolean): Buffer {
    this.#output = new ByteOutput();
    const input = this.#hasBegun ? bytes : this.#withBeginning(bytes, isLast);
    if (this.#first === undefined) this.#cut(input, isLast);
    else this.#decide(this.#first, input, isLast);
    if (isLast) this.#end();
    return this.#output.written;
  }

  /** Returns nothing until there are enough bytes for a byte order mark. */
  #withBeginning(bytes: Buffer, isLast: boolean): Buffer {
    this.#beginning = Buffer.concat([this.#beginning, bytes]);
    if (this.#beginning.length < LONGEST_MARK_BYTES && !isLast) return NOTHING;
    this.#hasBegun = true;
    return withoutByteOrderMark(this.#beginning, this.#file);
  }

  /** Reads on until it is known whether the first object is a record. */
  #decide(first: FirstObject, bytes: Buffer, isLast: boolean): void {
    const found = first.append(bytes, isLast);
    if (found === undefined) return;
    if (found.kind === 'open') this.#failOpen('object', this.#wrapperLine);
    this.#first = undefined;
    if (found.kind === 'records') {
      this.#beginRecords();
      this.#cut(first.bytes, isLast);
      return;
    }
    if (found.lists.length > 1) this.#fail(severalLists(found.lists), this.#wrapperLine);
    this.#wrapper = new Wrapper(found.lists[0]);
    this.#place = 'FIRST_KEY';
    // The brace of the wrapper is no value.
    this.#cut(first.bytes.subarray(1), isLast);
  }

  #cut(input: Buffer, isLast: boolean): void {
    let at = 0;
    while (at < input.length) {
      if (this.#value !== undefined) at = this.#goOn(this.#value, input, at);
      else {
        const byte = input[at]!;
        if (byte === LINE_FEED) this.#reader.line += 1;
        else if (!isWhiteSpace(byte)) {
          const next = this.#step(byte, input, at);
          if (this.#first !== undefined) {
            this.#decide(this.#first, input.subarray(at), isLast);
            return;
          }
          at = next;
          continue;
        }
        at += 1;
      }
    }
  }

  /** Takes one byte that stands between values. Returns the offset of the next one. */
  #step(byte: number, input: Buffer, at: number): number {
    const isFirst = this.#place === 'FIRST_ELEMENT' || this.#place === 'FIRST_KEY';
    switch (this.#place) {
      case 'BEGINNING':
        return this.#stepAtBeginning(byte, at);
      case 'FIRST_ELEMENT':
      case 'ELEMENT':
        if (byte === CLOSING_BRACKET && isFirst) return this.#endArray(at);
        if (beginsNoValue(byte)) this.#unexpected(byte, isFirst ? 'a value or ]' : 'a value');
        if (isFirst && this.#wrapper !== undefined) this.#beginList(this.#wrapper, input.subarray(at));
        return this.#begin(this.#columns === undefined ? 'record' : 'feature', byte, at);
      case 'AFTER_ELEMENT':
        if (byte === CLOSING_BRACKET) return this.#endArray(at);
        return this.#expect(COMMA, byte, ', or ]', 'ELEMENT', at);
      case 'RECORDS':
        if (byte === RECORD_SEPARATOR) return at + 1;
        if (byte !== OPENING_BRACE) this.#unexpected(byte, 'an object');
        return this.#begin('record', byte, at);
      case 'FIRST_KEY':
      case 'KEY':
        if (byte === CLOSING_BRACE && isFirst) return this.#endWrapper(at);
        if (byte !== QUOTE) this.#unexpected(byte, 'a key in quotes');
        return this.#begin('key', byte, at);
      case 'COLON':
        return this.#expect(COLON, byte, ':', 'MEMBER', at);
      case 'MEMBER':
        return this.#stepAtMember(this.#wrapper!, byte, at);
      case 'IN_LIST':
        return this.#stepInList(this.#wrapper!, byte, at);
      case 'AFTER_MEMBER':
        if (byte === CLOSING_BRACE) return this.#endWrapper(at);
        return this.#expect(COMMA, byte, ', or }', 'KEY', at);
      case 'END':
        return this.#unexpected(byte, 'the end of the file');
    }
  }

  #stepAtBeginning(byte: number, at: number): number {
    if (byte === OPENING_BRACKET) {
      this.#options.onShape({ kind: 'array' });
      this.#beginArray();
      return at + 1;
    }
    if (byte === RECORD_SEPARATOR) {
      this.#beginRecords();
      return at + 1;
    }
    if (byte !== OPENING_BRACE) this.#unexpected(byte, 'an array or an object');
    this.#wrapperLine = this.#reader.line;
    this.#first = new FirstObject(this.#file, this.#wrapperLine, this.#options.maxRecordBytes);
    return at;
  }

  #stepAtMember(wrapper: Wrapper, byte: number, at: number): number {
    if (beginsNoValue(byte)) this.#unexpected(byte, 'a value');
    if (byte === OPENING_BRACKET && (wrapper.isAtList || wrapper.mayBeAtList)) {
      if (wrapper.isAtList) this.#beginArray();
      else this.#place = 'IN_LIST';
      return at + 1;
    }
    return this.#begin('other', byte, at);
  }

  /** Whether the array is a list of objects is seen by its first element. */
  #stepInList({ list, key }: Wrapper, byte: number, at: number): number {
    if (byte === OPENING_BRACE) {
      if (list !== undefined) this.#fail(severalLists([list, key]), this.#wrapperLine);
      this.#beginArray();
      return at;
    }
    return this.#begin('other', byte, at, OPENING_BRACKET);
  }

  #beginRecords(): void {
    this.#options.onShape({ kind: 'objects' });
    this.#place = 'RECORDS';
  }

  #beginArray(): void {
    this.#arrayLine = this.#reader.line;
    this.#place = 'FIRST_ELEMENT';
    if (this.#wrapper !== undefined) this.#wrapper.list = this.#wrapper.key;
  }

  /** @param input from the first element on */
  #beginList({ key, isCollection }: Wrapper, input: Buffer): void {
    if (key === FEATURES) this.#columns = FeatureColumns.ofList(input, isCollection);
    this.#options.onShape(this.#columns === undefined ? { kind: 'list', key } : { kind: 'features' });
  }

  #endArray(at: number): number {
    this.#place = this.#wrapper === undefined ? 'END' : 'AFTER_MEMBER';
    if (this.#wrapper !== undefined) this.#wrapper.isListDone = true;
    return at + 1;
  }

  #endWrapper(at: number): number {
    if (this.#wrapper?.list === undefined) {
      this.#fail(
        `the object is longer than --max-record-bytes (${this.#options.maxRecordBytes}), and has no list of objects`,
        this.#wrapperLine,
      );
    }
    this.#place = 'END';
    return at + 1;
  }

  #begin(value: Value, firstByte: number, at: number, prefix?: number): number {
    const isRecord = value === 'record' || value === 'feature';
    const { maxRecordBytes } = this.#options;
    // A feature that is too long is passed on as it is, so that the loader rejects it by its own limit.
    const mostKeptBytes = value === 'record' ? 0 : value === 'feature' ? maxRecordBytes : MOST_CHECKED_BYTES;
    this.#value = value;
    this.#reader.begin({ mostKeptBytes, isWritten: isRecord }, firstByte, prefix);
    if (isRecord) this.#records += 1;
    return at;
  }

  /** Reads on in the value. */
  #goOn(value: Value, input: Buffer, start: number): number {
    const end = this.#reader.read(input, start, this.#output);
    if (value === 'key' && !this.#reader.isKept) this.#fail('a key is too long', this.#reader.firstLine);
    if (!this.#reader.isWhole) return end;
    this.#value = undefined;
    this.#endValue(value);
    return end;
  }

  #endValue(value: Value): void {
    const { kept, isKept, firstLine } = this.#reader;
    if (value === 'key') {
      const key = textOf(kept);
      if (key === undefined) this.#fail('not JSON: a key cannot be read', firstLine);
      this.#wrapper!.key = key;
      this.#place = 'COLON';
    } else if (value === 'other') {
      if (isKept) this.#checkOther(this.#wrapper!, kept, firstLine);
      this.#place = 'AFTER_MEMBER';
    } else {
      if (value === 'feature' && isKept) this.#writeFeature(this.#columns!, kept, firstLine);
      else this.#output.appendByte(LINE_FEED);
      if (this.#place !== 'RECORDS') this.#place = 'AFTER_ELEMENT';
    }
  }

  #checkOther(wrapper: Wrapper, json: Buffer, line: number): void {
    try {
      wrapper.seeMember(JSON.parse(json.toString('utf8')));
    } catch {
      this.#fail(`the value of ${JSON.stringify(wrapper.key)} is not JSON`, line);
    }
  }

  #writeFeature(columns: FeatureColumns, feature: Buffer, line: number): void {
    const clash = columns.write(feature, this.#output);
    if (clash === NO_FEATURE) this.#fail(`record ${this.#records} is not a feature of GeoJSON`, line);
    if (clash !== undefined) this.#fail(clashOf(clash), line);
  }

  #expect(expected: number, byte: number, name: string, place: Place, at: number): number {
    if (byte !== expected) this.#unexpected(byte, name);
    this.#place = place;
    return at + 1;
  }

  /** The file has ended. */
  #end(): void {
    const place = this.#place;
    if (this.#value === 'record' && place === 'RECORDS') this.#failOpen('object', this.#reader.firstLine);
    if (place === 'BEGINNING' || place === 'RECORDS' || place === 'END') return;
    const isInArray = place === 'FIRST_ELEMENT' || place === 'ELEMENT' || place === 'AFTER_ELEMENT';
    if (isInArray) this.#failOpen('array', this.#arrayLine);
    this.#failOpen('object', this.#wrapperLine);
  }

  #failOpen(what: 'array' | 'object', line: number): never {
    return this.#fail(`the ${what} that begins here is not closed`, line);
  }

  #unexpected(byte: number, expected: string): never {
    const place = this.#records === 0 ? '' : ` after record ${this.#records}`;
    return this.#fail(`not JSON: expected ${expected}${place}, got ${showByte(byte)}`, this.#reader.line);
  }

  #fail(reason: string, line: number): never {
    throw new InputError(this.#file, line, reason);
  }
}
