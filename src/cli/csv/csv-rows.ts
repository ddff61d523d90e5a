/** Turns CSV records into rows of the table: header, number of fields, order of the columns. */

import { throwFault, type BlockReader, type OnBadRecord, type OnRow } from '../records/block-reader.js';
import { CsvReader, fieldsOfRow, type CsvOptions, type CsvRow } from './csv-reader.js';
import type { FieldRuleSet } from './field-rules.js';
import type { Unnamed } from '../args/options.js';
import { NUMBER_SIGN } from '../../common/bytes.js';
import { InputError } from '../common/errors.js';
import { repairNames } from './column-names.js';
import { counted } from '../common/counted.js';
import { showDelimiter } from '../detect/reading.js';
import { didYouMean } from '../common/similar-names.js';
import { snakeCaseNames } from '../common/snake-case.js';
import { HAS_NUL } from '../values/value-flags.js';
import { LEFT_OUT } from '../common/text.js';
import type { SourceFile } from '../input/source.js';

export interface CsvRowOptions extends CsvOptions {
  readonly header: boolean;
  /** `--columns`, in place of the header's names. An empty name leaves its field out. */
  readonly names: readonly string[] | undefined;
  /** The header has the names of all columns but this one, in any order. */
  readonly unnamed?: Unnamed | undefined;
  /** The columns to load, in the order of the rows' values. */
  readonly columns: readonly string[];
  /** Blank lines are no records if a record has more than one field, and names are repaired. Otherwise both are errors. */
  readonly isLenient?: boolean | undefined;
  /**
   * The file has lines with comments. A line that begins with # is one if it has another number of fields than the table; otherwise it may
   * be a record.
   */
  readonly hasComments?: boolean | undefined;
  /** Names of the header become snake_case. */
  readonly normalizesNames?: boolean | undefined;
  /** Fields that a record lacks at its end are NULL. */
  readonly pads?: boolean | undefined;
  readonly rules?: FieldRuleSet | undefined;
}

const LINE_OF_COMMENT = '\n#';

/** Reads one file. Its header may have the names in another order than the first file's. */
export class CsvRows implements BlockReader<unknown[]> {
  readonly #file: SourceFile;
  readonly #options: CsvRowOptions;
  readonly #reader: CsvReader;
  #fieldCount: number;
  /** For each column the index of its field; undefined if the fields are the columns in their order. */
  #places: readonly number[] | undefined;
  #awaitsHeader: boolean;

  constructor(file: SourceFile, options: CsvRowOptions) {
    this.#file = file;
    this.#options = options;
    this.#reader = new CsvReader(file, options);
    const names = options.names ?? options.columns;
    this.#awaitsHeader = options.header;
    this.#fieldCount = names.length;
    this.#places = placesOf(options.columns, names);
  }

  get awaitsHeader(): boolean {
    return this.#awaitsHeader;
  }

  /** Whether the fields are the columns, in their order. */
  get areFieldsColumns(): boolean {
    return this.#places === undefined;
  }

  /** The marker at the end of the data was read. */
  get hasEnded(): boolean {
    return this.#reader.hasEnded;
  }

  /** Whether records of the block may be comments. */
  mayHaveComments(block: Buffer): boolean {
    return (
      this.#options.hasComments === true && (block[0] === NUMBER_SIGN || block.includes(LINE_OF_COMMENT))
    );
  }

  /** Number of fields that each record must have. */
  get fieldCount(): number {
    return this.#fieldCount;
  }

  /** The number of the line on which the next block begins. */
  get nextLine(): number {
    return this.#reader.nextLine;
  }

  set nextLine(line: number) {
    this.#reader.nextLine = line;
  }

  read(block: Buffer, onRow: OnRow<unknown[]>, onBadRecord: OnBadRecord = throwFault): undefined {
    const { hasComments = false } = this.#options;
    const onFields = (row: CsvRow, line: number): void => {
      if (hasComments && !this.#awaitsHeader && this.#reader.written.startsWith('#')) {
        if (row.length !== this.#fieldCount && this.#options.pads !== true) return;
        onBadRecord(new InputError(this.#file.name, line, MAY_BE_COMMENT), line, this.#reader.written);
        return;
      }
      if (row.length !== this.#fieldCount || this.#awaitsHeader) {
        if (this.#options.isLenient === true && isBlankLine(row, this.#fieldCount, this.#reader)) return;
        if (this.#awaitsHeader) {
          this.#readHeader(line);
          return;
        }
        if (this.#options.pads !== true || row.length > this.#fieldCount) {
          onBadRecord(this.#ragged(row, line), line, this.#reader.written);
          return;
        }
        while (row.length < this.#fieldCount) row.push(null);
      }
      const values: unknown[] = this.#places === undefined ? row : this.#places.map((place) => row[place]!);
      this.#options.rules?.applyTo(values);
      onRow(values, line);
    };
    this.#reader.read(block, onFields, this.#afterHeader(onBadRecord));
  }

  rejectLine(reason: string, written: Buffer, onBadRecord: OnBadRecord = throwFault): void {
    this.#reader.rejectLine(reason, written, this.#afterHeader(onBadRecord));
  }

  end(): void {
    if (this.#awaitsHeader) throw emptyFile(this.#file);
  }

  #readHeader(line: number): void {
    this.#awaitsHeader = false;
    const { columns, unnamed } = this.#options;
    if (this.#options.names !== undefined && unnamed === undefined) return;
    const header = headerTexts(this.#reader, unnamed);
    const names = headerNames(header, this.#file, line, this.#options);
    const [given, known] = [new Set(names), new Set(columns)];
    const unknown = names.find((name) => !known.has(name));
    const missing = columns.find((name) => !given.has(name));
    if (unknown !== undefined || missing !== undefined) {
      const difference =
        unknown === undefined
          ? `lacks ${JSON.stringify(missing)}`
          : `has ${JSON.stringify(unknown)} besides${didYouMean(
              unknown,
              columns.filter((name) => !given.has(name)),
            )}`;
      throw new InputError(
        this.#file.name,
        line,
        `the header differs from that of the first file: it ${difference}; load the file by a command of its own`,
      );
    }
    this.#fieldCount = names.length;
    this.#places = placesOf(columns, names);
  }

  /** Without the header no record can be read, so that its fault ends the file. */
  #afterHeader(onBadRecord: OnBadRecord): OnBadRecord {
    return (fault, line, written) => {
      if (this.#awaitsHeader) throw fault;
      onBadRecord(fault, line, written);
    };
  }

  #ragged(row: CsvRow, line: number): InputError {
    const empty = row.length === 1 && (row[0] === null || row[0] === '');
    const expected = `expected ${counted(this.#fieldCount, 'field')}`;
    const got = empty ? 'an empty line' : fieldsOfRow(row);
    const help = this.#options.isCopyText === true ? '' : `; ${this.#helpFor(row, empty)}`;
    return new InputError(this.#file, line, `${expected}, got ${got}${help}`);
  }

  #helpFor(row: CsvRow, isEmpty: boolean): string {
    const { isLenient = false, delimiter } = this.#options;
    if (isEmpty)
      return isLenient ? '--pad makes the fields NULL' : 'without --strict, blank lines are skipped';
    if (isLenient && row[0]?.startsWith('#') === true) return '--comment "#" leaves such lines out';
    if (row.length < this.#fieldCount) {
      const word = isLenient ? noteWordOf(row) : undefined;
      const note =
        word === undefined ? '' : `--comment "${word}" leaves out lines that begin like this, and `;
      return `${note}--pad makes the fields that are missing NULL`;
    }
    return `a field with ${showDelimiter(delimiter)} in it must be in quotes`;
  }
}

const MAY_BE_COMMENT =
  'the line may be a comment, as others of the file, or a record; --comment "#" leaves such lines out, and --comment none keeps them';

/** A sentence behind the table: its first word. */
function noteWordOf(row: CsvRow): string | undefined {
  const [first] = row;
  if (row.length > 1 || first == null || !/\s|:$/.test(first)) return undefined;
  return /^([\p{L}*-][\p{L}*:-]*)(?:\s|$)/u.exec(first)?.[1];
}

/** Returns the fields of the record that the reader passes on. @param unnamed a column that has none */
export function headerTexts({ texts }: Pick<CsvReader, 'texts'>, unnamed: Unnamed | undefined): string[] {
  if (unnamed === undefined) return texts;
  return unnamed === 'first' ? ['', ...texts] : [...texts, ''];
}

/** PostgreSQL's own limit. */
export const MOST_COLUMNS = 1600;

/**
 * The names in a header line.
 *
 * If it is lenient, a name that is empty or comes twice is repaired, and `onNote` gets a line about it.
 *
 * @param row its fields as texts: a name is never NULL, even if it is written as NULL is
 * @throws {InputError} for such a name otherwise
 */
export function headerNames(
  row: readonly string[],
  file: SourceFile,
  line: number,
  { isLenient = false, normalizesNames = false }: Pick<CsvRowOptions, 'isLenient' | 'normalizesNames'>,
  onNote?: (note: string) => void,
): string[] {
  if (row.length > MOST_COLUMNS) {
    const has = `the header has ${fieldsOfRow(row)} fields`;
    throw new InputError(
      file.name,
      line,
      `${has}, and a table has at most ${counted(MOST_COLUMNS, 'column')}; --delimiter may be another one, and --columns leaves fields out`,
    );
  }
  const unstorable = row.find((name) => name.includes('\0'));
  if (unstorable !== undefined)
    throw new InputError(file, line, `the header's name ${JSON.stringify(unstorable)} ${HAS_NUL}`);
  if (isLenient) {
    const { names, notes } = repairNames(row, normalizesNames);
    for (const note of notes) onNote?.(note);
    return [...names];
  }
  const names = new Set<string>();
  for (const name of row) {
    if (name === '') {
      throw new InputError(
        file.name,
        line,
        `the header's field ${names.size + 1} has no name; without --strict it gets one, and --columns names all`,
      );
    }
    if (names.has(name))
      throw new InputError(
        file.name,
        line,
        `the header has "${name}" twice; without --strict the second one becomes "${name}_2", and --columns names all`,
      );
    names.add(name);
  }
  return normalizesNames ? snakeCaseNames([...names]) : [...names];
}

/**
 * Returns whether the row is a line without text where records have several fields, or else a comment. A quoted empty field is text.
 *
 * @param fieldCount 0 before the header
 */
export function isBlankLine(row: CsvRow, fieldCount: number, reader: Pick<CsvReader, 'written'>): boolean {
  if (fieldCount < 2 && row.length === 2 && row[0] === LEFT_OUT && reader.written.length === 2) return true;
  return row.length === 1 && fieldCount !== 1 && reader.written.trim() === '';
}

export function emptyFile(file: SourceFile): InputError {
  return new InputError(file.name, undefined, 'is empty; a CSV file needs a header, or --no-header');
}

function placesOf(columns: readonly string[], names: readonly string[]): number[] | undefined {
  const placeOf = new Map(names.map((name, place) => [name, place]));
  const places = columns.map((column) => placeOf.get(column) ?? -1);
  const same = names.length === columns.length && places.every((place, index) => place === index);
  return same ? undefined : places;
}
