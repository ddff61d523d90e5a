/** How the fields of single columns are read: texts that mean NULL, quoted or not, and texts that are rewritten, such as dates. */

import { CARRIAGE_RETURN, LINE_FEED } from '../../common/bytes.js';
import type { CsvRow } from './csv-reader.js';
import { conversionFromJson, convertBy, type Conversion, type Convert } from '../values/conversion.js';
import { ConvertedField, RefusedField } from '../values/converted-field.js';

export interface FieldRule {
  /** An empty text stands for an empty field in quotes. */
  readonly nulls: readonly string[];
  /** How all other texts are rewritten. Undefined: not at all. */
  readonly conversion?: Conversion | undefined;
}

/** By name of the column. */
export type FieldRules = Readonly<Record<string, FieldRule>>;

/** Adds the texts that `--null-for` names. */
export function withNulls(
  rules: FieldRules | undefined,
  nullsFor: Readonly<Record<string, readonly string[]>>,
): FieldRules | undefined {
  const given = Object.entries(nullsFor);
  if (given.length === 0) return rules;
  const merged = new Map(Object.entries(rules ?? {}));
  for (const [column, nulls] of given) {
    const rule = merged.get(column);
    merged.set(column, { ...rule, nulls: [...new Set([...(rule?.nulls ?? []), ...nulls])] });
  }
  return Object.fromEntries(merged);
}

/** Returns undefined for anything but rules. */
export function rulesFromJson(json: unknown): FieldRules | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const rules = Object.entries(json as Record<string, { nulls?: unknown; conversion?: unknown } | null>);
  return Object.fromEntries(
    rules.map(([column, rule]): [string, FieldRule] => {
      const nulls: readonly unknown[] = Array.isArray(rule?.nulls) ? rule.nulls : [];
      const conversion = conversionFromJson(rule?.conversion);
      return [column, { nulls: nulls.map(String), ...(conversion === undefined ? {} : { conversion }) }];
    }),
  );
}

/** What NULL is in any column, unless it is quoted: the reader applies it. */
interface NullTexts {
  readonly delimiter: string;
  /** The server's, too. */
  readonly nullText: string;
  readonly otherNulls?: readonly string[];
}

/** What a block has if a field of it is a marker. */
interface Sign {
  readonly start: string;
  /** The start with what ends the field: `-` also begins a number. */
  readonly wholes: readonly string[];
}

/** The rules of a load. A row's values are those of `columns`, in their order. */
export class FieldRuleSet {
  readonly #places: {
    readonly place: number;
    readonly nulls: ReadonlySet<string>;
    readonly conversion: Conversion | undefined;
    readonly convert: Convert | undefined;
  }[] = [];
  readonly #delimiter: string;
  /** Texts that may be the first field of a block, which has nothing before it. */
  readonly #first: readonly Buffer[];
  /** Without one of them no rule applies to a block. Undefined: any block may have one. */
  readonly #signs: readonly Sign[] | undefined;

  constructor(
    rules: FieldRules,
    columns: readonly string[],
    { delimiter, nullText, otherNulls = [] }: NullTexts,
  ) {
    this.#delimiter = delimiter;
    for (const [place, column] of columns.entries()) {
      const rule = Object.hasOwn(rules, column) ? rules[column] : undefined;
      if (rule === undefined) continue;
      const { nulls, conversion } = rule;
      const convert = conversion === undefined ? undefined : convertBy(conversion);
      this.#places.push({ place, nulls: new Set(nulls), conversion, convert });
    }
    const markers = new Set([...otherNulls, ...this.#places.flatMap(({ nulls }) => [...nulls])]);
    this.#first = [...markers].filter((marker) => marker !== '').map((marker) => Buffer.from(marker));
    const converts = this.#places.some(({ convert }) => convert !== undefined);
    // An empty field without quotes is NULL for the server only if that is its null text.
    const hasEmpty = markers.has('') && nullText !== '';
    this.#signs = converts || hasEmpty ? undefined : [...markers].flatMap((each) => this.#signsOf(each));
  }

  #signsOf(marker: string): Sign[] {
    const quoted = `"${marker.replaceAll('"', '""')}"`;
    const signs = [{ start: quoted, wholes: [quoted] }];
    if (marker === '') return signs;
    for (const before of [this.#delimiter, '\n']) {
      const start = `${before}${marker}`;
      signs.push({ start, wholes: [this.#delimiter, '\n', '\r'].map((end) => `${start}${end}`) });
    }
    return signs;
  }

  /** Returns whether a field of the block may be read in another way than the server reads it. */
  mayApplyTo(block: Buffer): boolean {
    const signs = this.#signs;
    if (signs === undefined || signs.some((sign) => isIn(block, sign))) return true;
    return this.#first.some((marker) => {
      const isFirst = marker.equals(block.subarray(0, marker.length));
      return isFirst && this.#isFieldEnd(block[marker.length]);
    });
  }

  #isFieldEnd(byte: number | undefined): boolean {
    const isLineEnd = byte === undefined || byte === LINE_FEED || byte === CARRIAGE_RETURN;
    return isLineEnd || byte === this.#delimiter.charCodeAt(0);
  }

  /** Changes the fields that rules are about to what the server is to read. Returns `false` if one does not fit. */
  rewrite(row: CsvRow): boolean {
    for (const { place, nulls, convert } of this.#places) {
      const value = row[place];
      if (value === null || value === undefined) continue;
      const text = nulls.has(value) ? null : convert === undefined ? value : convert(value);
      if (text === undefined) return false;
      row[place] = text;
    }
    return true;
  }

  /** As `rewrite`, with the texts as they are written beside what they become. */
  applyTo(row: unknown[]): void {
    for (const { place, nulls, conversion, convert } of this.#places) {
      const value = row[place];
      if (typeof value !== 'string') continue;
      if (nulls.has(value)) row[place] = null;
      else if (convert !== undefined) {
        const text = convert(value);
        if (text === undefined) row[place] = new RefusedField(value, conversion!);
        else if (text !== value) row[place] = new ConvertedField(value, text);
      }
    }
  }
}

function isIn(block: Buffer, { start, wholes }: Sign): boolean {
  if (!block.includes(start)) return false;
  // The last record of a file may lack its line break.
  return (
    wholes.some((whole) => block.includes(whole)) ||
    block.lastIndexOf(start) === block.length - Buffer.byteLength(start)
  );
}
