/**
 * The columns of a Parquet file as trees, with the levels at which their parts are there. Pure.
 *
 * ```text
 *   definition level of a value   how many of the optional and repeated parts on the way to it are there
 *   repetition level              which repeated part begins a new element with it; 0 begins a new row
 * ```
 *
 * Source: "Nested Types" in the format's documentation, with its rules for older lists.
 */

import type { SchemaElement } from 'hyparquet';

interface Levels {
  /** A value of at least this definition level means that the node is there. */
  readonly definition: number;
  readonly repetition: number;
}

interface Named extends Levels {
  readonly name: string;
}

export interface LeafNode extends Named {
  readonly kind: 'leaf';
  readonly element: SchemaElement;
  /** Among the file's columns of values. */
  readonly index: number;
}

interface StructNode extends Named {
  readonly kind: 'struct';
  readonly children: readonly SchemaNode[];
  /** Its parts say nothing by themselves. */
  readonly isVariant: boolean;
}

export interface ListNode extends Named {
  readonly kind: 'list';
  /** Of its elements. */
  readonly inner: Levels;
  readonly element: SchemaNode;
}

interface MapNode extends Named {
  readonly kind: 'map';
  readonly inner: Levels;
  readonly key: SchemaNode;
  readonly value: SchemaNode;
}

export type SchemaNode = LeafNode | StructNode | ListNode | MapNode;

/** Elements of a schema as they stand in the file: each is followed by its children. */
class ElementReader {
  readonly #elements: readonly SchemaElement[];
  #at = 1;
  #leaves = 0;

  constructor(elements: readonly SchemaElement[]) {
    this.#elements = elements;
  }

  readAll(): SchemaNode[] {
    const [root] = this.#elements;
    return this.#times(root?.num_children ?? 0, () => this.#read({ definition: 0, repetition: 0 }));
  }

  #times<Node>(count: number, read: () => Node): Node[] {
    return Array.from({ length: count }, read);
  }

  #peek(ahead = 0): SchemaElement {
    const element = this.#elements[this.#at + ahead];
    if (element === undefined) throw new Error('the schema ends too early');
    return element;
  }

  #take(): SchemaElement {
    const element = this.#peek();
    this.#at += 1;
    return element;
  }

  #read(parent: Levels): SchemaNode {
    const { repetition_type: repetition, name } = this.#peek();
    if (repetition !== 'REPEATED') return this.#readSingle(parent);
    // Not within a list: an older file's list of values that are there.
    const inner = { definition: parent.definition + 1, repetition: parent.repetition + 1 };
    return { kind: 'list', name, ...parent, inner, element: this.#readBare(inner) };
  }

  #readSingle({ definition, repetition }: Levels): SchemaNode {
    const isOptional = this.#peek().repetition_type === 'OPTIONAL';
    return this.#readBare({ definition: definition + (isOptional ? 1 : 0), repetition });
  }

  /** Reads an element whose levels are known. */
  #readBare(levels: Levels): SchemaNode {
    const element = this.#take();
    const { name, num_children: children = 0 } = element;
    if (element.type !== undefined) {
      this.#leaves += 1;
      return { kind: 'leaf', name, ...levels, element, index: this.#leaves - 1 };
    }
    const logical = element.logical_type?.type ?? element.converted_type;
    if (logical === 'LIST' && children === 1 && this.#isRepeated()) return this.#readList(name, levels);
    const isMap = logical === 'MAP' || logical === 'MAP_KEY_VALUE';
    if (isMap && children === 1 && this.#isRepeated() && this.#peek().num_children === 2)
      return this.#readMap(name, levels);
    const isVariant = logical === 'VARIANT';
    return {
      kind: 'struct',
      name,
      ...levels,
      isVariant,
      children: this.#times(children, () => this.#read(levels)),
    };
  }

  #isRepeated(): boolean {
    return this.#peek().repetition_type === 'REPEATED';
  }

  #readList(name: string, levels: Levels): ListNode {
    const inner = { definition: levels.definition + 1, repetition: levels.repetition + 1 };
    const { type, num_children: children, name: innerName } = this.#peek();
    const isElement =
      type !== undefined || children !== 1 || innerName === 'array' || innerName === `${name}_tuple`;
    if (isElement) return { kind: 'list', name, ...levels, inner, element: this.#readBare(inner) };
    this.#take();
    return { kind: 'list', name, ...levels, inner, element: this.#read(inner) };
  }

  #readMap(name: string, levels: Levels): MapNode {
    const inner = { definition: levels.definition + 1, repetition: levels.repetition + 1 };
    this.#take();
    return { kind: 'map', name, ...levels, inner, key: this.#read(inner), value: this.#read(inner) };
  }
}

/** @throws {Error} for a schema that is no tree */
export function columnsOf(elements: readonly SchemaElement[]): SchemaNode[] {
  return new ElementReader(elements).readAll();
}

/** Returns the columns of values that a node consists of, in the file's order. */
export function leavesOf(node: SchemaNode): LeafNode[] {
  switch (node.kind) {
    case 'leaf':
      return [node];
    case 'struct':
      return node.children.flatMap(leavesOf);
    case 'list':
      return leavesOf(node.element);
    case 'map':
      return [...leavesOf(node.key), ...leavesOf(node.value)];
  }
}
