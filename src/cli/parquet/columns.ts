/**
 * The columns of a file that are loaded, each a sequence of texts as COPY reads them.
 *
 * | column | text |
 * |---|---|
 * | of single values | the value |
 * | a list of single values, into an array | `{1,NULL,2}` |
 * | any other list, a map, a struct | JSON |
 */

import { PARQUET_NULL } from '../args/options.js';
import type { NulAction } from '../values/value-flags.js';
import { leafTypeOf, type LeafOptions, type LeafType } from './leaf-type.js';
import type { LeafCursor } from './leaf-cursor.js';
import type { LeafWriter } from './page-values.js';
import { leavesOf, type LeafNode, type ListNode, type SchemaNode } from './schema.js';
import type { ValueFault } from './value-text.js';
import { type Text } from './value-text.js';

/** How a column is stored. */
export interface ColumnType extends LeafOptions {
  readonly sqlType: string;
  /** A list becomes an array, and not JSON. */
  readonly isArray: boolean;
}

export type OpenLeaf = (leaf: LeafNode, writer: LeafWriter) => LeafCursor;

/** Returns the text of the next row, or `null` for NULL. */
export type NextValue = () => Text | null;

/** @param sqlType of the table's column, or what the user wants; undefined: as the file says */
export function columnTypeOf(
  node: SchemaNode,
  sqlType: string | undefined,
  nul: NulAction | undefined,
): ColumnType | undefined {
  const keepsNanos = /^(?:text|varchar|character|citext)/i.test(sqlType ?? '');
  const leaves = leavesOf(node);
  const isKnown = leaves.every(({ element }) => leafTypeOf(element, { keepsNanos, nul }) !== undefined);
  if (leaves.length === 0 || !isKnown || hasVariant(node)) return undefined;
  const own = ownType(node);
  return {
    sqlType: sqlType ?? own,
    isArray: node.kind === 'list' && node.element.kind === 'leaf' && (sqlType ?? own).endsWith(']'),
    keepsNanos,
    nul,
  };
}

function hasVariant(node: SchemaNode): boolean {
  switch (node.kind) {
    case 'leaf':
      return false;
    case 'struct':
      return node.isVariant || node.children.some(hasVariant);
    case 'list':
      return hasVariant(node.element);
    case 'map':
      return hasVariant(node.value);
  }
}

/** For the type alone. */
const AS_IT_IS: LeafOptions = { keepsNanos: false, nul: undefined };

function ownType(node: SchemaNode): string {
  if (node.kind === 'leaf') return leafTypeOf(node.element, AS_IT_IS)!.sqlType;
  if (node.kind !== 'list' || node.element.kind !== 'leaf') return 'jsonb';
  const { sqlType } = leafTypeOf(node.element.element, AS_IT_IS)!;
  return sqlType === 'json' ? 'jsonb' : `${sqlType}[]`;
}

export function openColumn(node: SchemaNode, type: ColumnType, open: OpenLeaf): NextValue {
  const { isArray } = type;
  if (node.kind === 'leaf' && node.repetition === 0) {
    const cursor = open(node, writerOf(leafTypeOf(node.element, type)!, inField));
    return () => cursor.nextFlat();
  }
  const inPlace = isArray ? inArray : inJson;
  const cursors = new Map<SchemaNode, LeafCursor>();
  for (const leaf of leavesOf(node)) {
    const cursor = open(leaf, writerOf(leafTypeOf(leaf.element, type)!, inPlace));
    cursor.advance();
    cursors.set(leaf, cursor);
  }
  const assembler = new Assembler(cursors);
  return () => {
    const value = assembler.next(node, isArray);
    return typeof value === 'string' ? escaped(value) : value;
  };
}

/** Puts a text in its place. */
type InPlace = (text: string, type: LeafType) => string;

const inField: InPlace = (text, { isFreeText }) => (isFreeText ? escaped(text) : text);

const inArray: InPlace = (text, { isJsonToken }) =>
  isJsonToken ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;

/** JSON has no NaN and no infinity: they are texts. */
const inJson: InPlace = (text, { isJsonToken, sqlType }) =>
  sqlType === 'json' || (isJsonToken && !/^-?(?:NaN|Infinity)$/.test(text)) ? text : JSON.stringify(text);

function writerOf(type: LeafType, inPlace: InPlace): LeafWriter {
  const { ofNumber, ofBytes, isFreeText } = type;
  // Numbers stand as they are in a field, and most columns are of this kind.
  if (inPlace === inField && !isFreeText) return { ofNumber, ofBytes };
  const put = (text: Text): Text => (typeof text === 'string' ? inPlace(text, type) : text);
  return {
    ofNumber: ofNumber && ((value) => put(ofNumber(value))),
    ofBytes: ofBytes && ((bytes, start, end, isAscii) => put(ofBytes(bytes, start, end, isAscii))),
  };
}

const SPECIAL = /[\\\t\n\r\x7f]/g;
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  [PARQUET_NULL]: '\\x7f',
};

function escaped(text: string): string {
  return text.replace(SPECIAL, (character) => ESCAPES[character]!);
}

/** Puts values of nested columns together, row by row. */
class Assembler {
  readonly #cursors: ReadonlyMap<SchemaNode, LeafCursor>;
  readonly #first: LeafCursor;
  /** Of the row. */
  readonly #faults: ValueFault[] = [];

  constructor(cursors: ReadonlyMap<SchemaNode, LeafCursor>) {
    this.#cursors = cursors;
    this.#first = [...cursors.values()][0]!;
  }

  next(node: SchemaNode, isArray: boolean): Text | null {
    for (const { repetition, isAtEnd } of this.#cursors.values())
      if (repetition !== 0 || isAtEnd) throw new Error('the parts of a column have different rows');
    this.#faults.length = 0;
    if (this.#first.definition < node.definition) {
      this.#skip(node);
      return null;
    }
    const text = isArray ? this.#array(node as ListNode) : this.#present(node);
    return this.#faults[0] ?? text;
  }

  #array(node: ListNode): string {
    return `{${this.#elements(node, () => this.#take(node.element as LeafNode, 'NULL')).join(',')}}`;
  }

  #json(node: SchemaNode): string {
    if (node.kind === 'leaf') return this.#take(node, 'null');
    if (this.#cursorOf(node).definition >= node.definition) return this.#present(node);
    this.#skip(node);
    return 'null';
  }

  /** Of a node that is there. */
  #present(node: SchemaNode): string {
    switch (node.kind) {
      case 'leaf':
        return this.#take(node, 'null');
      case 'struct':
        return `{${node.children.map((child) => `${JSON.stringify(child.name)}:${this.#json(child)}`).join(',')}}`;
      case 'list':
        return `[${this.#elements(node, () => this.#json(node.element)).join(',')}]`;
      case 'map': {
        const entries = this.#elements(
          node,
          () => `${keyOf(this.#json(node.key))}:${this.#json(node.value)}`,
        );
        return `{${entries.join(',')}}`;
      }
    }
  }

  #elements(node: SchemaNode & { kind: 'list' | 'map' }, read: () => string): string[] {
    const cursor = this.#cursorOf(node);
    if (cursor.definition < node.inner.definition) {
      this.#skip(node);
      return [];
    }
    const elements: string[] = [];
    do elements.push(read());
    while (cursor.repetition === node.inner.repetition);
    return elements;
  }

  #take(leaf: LeafNode, absent: string): string {
    const text = this.#cursors.get(leaf)!.take() ?? absent;
    if (typeof text === 'string') return text;
    this.#faults.push(text);
    return absent;
  }

  /** Its levels are those of each leaf, as far as the node. */
  #cursorOf(node: SchemaNode): LeafCursor {
    let leaf = node;
    while (leaf.kind !== 'leaf') {
      if (leaf.kind === 'struct') leaf = leaf.children[0]!;
      else leaf = leaf.kind === 'list' ? leaf.element : leaf.key;
    }
    return this.#cursors.get(leaf)!;
  }

  /** Passes a node that is not there: each of its leaves has one value, which says so. */
  #skip(node: SchemaNode): void {
    for (const leaf of leavesOf(node)) this.#cursors.get(leaf)!.take();
  }
}

/** A key of JSON is a text. */
function keyOf(json: string): string {
  return json.startsWith('"') ? json : JSON.stringify(json);
}
