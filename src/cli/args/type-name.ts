/**
 * Types of columns, as `--type` names them. Pure.
 *
 * The grammar is that of PostgreSQL, without expressions:
 *
 * ```text
 *   type      = ( words | [ schema "." ] name [ "(" modifiers ")" ] ) [ array ]
 *   words     = numeric(10,2) | timestamp(3) with time zone | double precision | bit varying(5) | …: types that SQL spells in words of its own
 *   name      = letters, digits, _ and $ (folded to lower case), or any text in double quotes
 *   modifiers = whole numbers, names or 'texts', divided by commas
 *   array     = "[]" …, or "array"
 * ```
 *
 * What it accepts cannot be anything but a type in a statement.
 */

import { quoteIdentifier } from '../../postgres/sql/identifiers.js';

/** What is known of a type's values by its name. `other`: texts may stand for themselves. */
export type TypeKind = 'number' | 'date' | 'boolean' | 'other';

export interface TypeName {
  /** For people, in one spelling: `numeric(10,2)`, `timestamp with time zone`, `text[]`. */
  readonly text: string;
  readonly kind: TypeKind;
  /** The type without modifiers and array, to be looked up by the server; undefined if it is spelled in words of SQL. */
  readonly lookup: string | undefined;
  /** What follows a type that was looked up: modifiers, and brackets of an array. */
  readonly suffix: string;
}

/** In characters. */
const LONGEST_TYPE = 300;

/** Returns undefined for anything but a type. */
export function parseTypeName(given: string): TypeName | undefined {
  if (given.length > LONGEST_TYPE) return undefined;
  const [, base, brackets] = ARRAY.exec(given)!;
  const array = brackets!.replace(/\s+/g, '').replace(/^array$|^array(?=\[)/i, '') || (brackets ? '[]' : '');
  const words = inWords(base!);
  if (words !== undefined) {
    const kind = array === '' ? kindOf(words) : 'other';
    return { text: words + array, kind, lookup: undefined, suffix: '' };
  }
  const match = NAMED.exec(base!);
  if (match === null) return undefined;
  const [, schema, name, modifiers] = match;
  // Such as `int(4)`: SQL's own words, with modifiers that they do not take.
  if (schema === undefined && inWords(name!) !== undefined) return undefined;
  const parts = [schema, name].filter((part) => part !== undefined).map(unquote);
  const suffix = (modifiers ?? '').replace(SPACED_MARK, '$1$2') + array;
  const kind =
    array === '' && (schema === undefined || parts[0] === 'pg_catalog') ? kindOf(parts.at(-1)!) : 'other';
  const shown =
    parts.length === 1 && inWords(parts[0]!) !== undefined
      ? quoteIdentifier(parts[0]!)
      : parts.map(showPart).join('.');
  return { text: shown + suffix, kind, lookup: parts.map(quoteIdentifier).join('.'), suffix };
}

const ARRAY = /^\s*([^]*?)\s*((?:\s*\[\s*\d{0,9}\s*\])+|\barray(?:\s*\[\s*\d{0,9}\s*\])?|)\s*$/i;

const NAME = '"(?:[^"\\0]|"")+"|[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*';
const MODIFIER = `-?\\d{1,10}|${NAME}|'[^'\\\\\\0]*'`;
const NAMED = new RegExp(
  `^(?:(${NAME})\\s*\\.\\s*)?(${NAME})(?:\\s*(\\(\\s*(?:${MODIFIER})(?:\\s*,\\s*(?:${MODIFIER}))*\\s*\\)))?$`,
);

/** A text in quotes, or a mark between spaces. */
const SPACED_MARK = /("(?:[^"]|"")*"|'[^']*')|\s*([(),])\s*/g;

function unquote(part: string): string {
  return part.startsWith('"')
    ? part.slice(1, -1).replaceAll('""', '"')
    : part.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function showPart(part: string): string {
  return /^[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*$/.test(part) ? part : quoteIdentifier(part);
}

/** Types that are words of SQL's grammar, and what the server calls them. No schema is searched for them. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/^(?:int|integer)$/, 'integer'],
  [/^(smallint|bigint|real|boolean|double precision)$/, '$1'],
  [/^float(?:\((?:[1-9]|1\d|2[0-4])\))$/, 'real'],
  [/^float(?:\((?:2[5-9]|[34]\d|5[0-3])\))?$/, 'double precision'],
  [/^(?:numeric|decimal|dec)(\(\d{1,4}(?:,-?\d{1,4})?\))?$/, 'numeric$1'],
  [/^(?:varchar|(?:national )?char(?:acter)? varying|nchar varying)(\(\d{1,8}\))?$/, 'character varying$1'],
  [/^(?:nchar|(?:national )?char(?:acter)?)$/, 'character(1)'],
  [/^(?:nchar|(?:national )?char(?:acter)?)(\(\d{1,8}\))$/, 'character$1'],
  [/^bit varying(\(\d{1,8}\))?$/, 'bit varying$1'],
  [/^bit$/, 'bit(1)'],
  [/^bit(\(\d{1,8}\))$/, 'bit$1'],
  [/^(time|timestamp)(\(\d\))?(?: without time zone)?$/, '$1$2 without time zone'],
  [/^(time|timestamp)(\(\d\))? with time zone$/, '$1$2 with time zone'],
  [/^interval(\(\d\))?$/, 'interval$1'],
  [
    /^interval (year|month|day|hour|minute|year to month|day to hour|day to minute|hour to minute)$/,
    'interval $1',
  ],
  [/^interval ((?:(?:day|hour|minute) to )?second(?:\(\d\))?)$/, 'interval $1'],
];

function inWords(base: string): string | undefined {
  const spaced = base
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/ ?([(),]) ?/g, '$1')
    .replace(/\)(?=\w)/, ') ');
  const found = WORDS.find(([pattern]) => pattern.test(spaced));
  return found && spaced.replace(found[0], found[1]);
}

const KINDS: readonly (readonly [RegExp, TypeKind])[] = [
  [/^(?:smallint|integer|bigint|real|double precision|numeric|int[248]|float[48])\b/, 'number'],
  [/^(?:date|time|timetz|timestamp|timestamptz|interval)\b/, 'date'],
  [/^bool(?:ean)?$/, 'boolean'],
];

function kindOf(name: string): TypeKind {
  return KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? 'other';
}
