/**
 * The type of a column of CSV, and how its fields are read: markers of missing values, and texts that are rewritten, such as dates. Pure.
 *
 * ```text
 *   value ──▶ marker?  kept aside: NULL if the other values are all numbers, dates or booleans, else a text
 *         └─▶ each way to read it (value-ways.ts): as flags say, as it stands, with a decimal comma
 *                 the first way in which all values of the sample fit decides; without one the column is text
 * ```
 */

import { USUAL_NULLS } from '../detect/cells/cell-kind.js';
import type { FieldRule } from '../csv/field-rules.js';
import type { TypeKind, TypeName } from '../args/type-name.js';
import type { Conversion, Conversions } from '../values/conversion.js';
import type { ValueFlags } from '../values/value-flags.js';
import type { InferredType } from './infer-types.js';
import { HINT_VALUES, hintFor, misfitHint, type ValueHint } from './value-hints.js';
import { waysFor, type ValueWays } from './value-ways.js';

const MARKERS = new Set(USUAL_NULLS);
/** Types whose values cannot be mistaken for a marker. */
const PLAIN_TYPES: readonly InferredType[] = [
  'boolean',
  'bigint',
  'numeric',
  'date',
  'timestamp',
  'timestamptz',
];
const NUMBERS: readonly InferredType[] = ['bigint', 'numeric'];

export interface FieldOptions {
  /** Markers are texts, too. */
  readonly strict: boolean;
  /** `3,5` may be a number, though no flag says so. */
  readonly detectsCommas: boolean;
  readonly flags: ValueFlags;
}

export interface InferredField {
  /** For a column that is to be made. */
  readonly type: string;
  readonly rule: FieldRule | undefined;
  /** For a column that is there already. */
  readonly conversions?: Conversions | undefined;
  /** For a column that became text. */
  readonly hint?: ValueHint | undefined;
}

export class FieldInference {
  readonly #strict: boolean;
  readonly #ways: ValueWays;
  readonly #markers = new Set<string>();
  readonly #flags: ValueFlags;
  readonly #first: string[] = [];

  constructor({ strict, detectsCommas, flags }: FieldOptions) {
    this.#strict = strict;
    this.#flags = flags;
    this.#ways = waysFor(flags, detectsCommas);
  }

  /** @param value `null` for NULL; an empty text was in quotes */
  add(value: string | null): void {
    if (value === null) return;
    if (!this.#strict && (value === '' || MARKERS.has(value))) {
      this.#markers.add(value);
      return;
    }
    if (this.#first.length < HINT_VALUES) this.#first.push(value);
    for (const way of this.#ways.all) way.add(value);
  }

  /** @param given the type that `--type` gives the column */
  done(given?: TypeName): InferredField {
    const conversions = this.#conversions();
    if (given !== undefined) return { type: given.text, rule: this.#ruleFor(given.kind, conversions) };
    const { all, plain } = this.#ways;
    const way = all.find(({ type }) => type !== undefined) ?? plain;
    const type = way.type!;
    const nulls = [...this.#markers];
    if (PLAIN_TYPES.includes(type)) return { type, rule: ruleOf(nulls, way.conversion), conversions };
    const hint = type === 'text' ? this.#hint() : undefined;
    return { type: nulls.length === 0 ? type : 'text', rule: undefined, conversions, hint };
  }

  #hint(): ValueHint | undefined {
    for (const way of this.#ways.all) {
      const hint = misfitHint(way);
      if (hint !== undefined) return hint;
    }
    return this.#strict ? undefined : hintFor(this.#first, this.#flags);
  }

  /** No value of such a type is written as a marker, so that all of them are NULL, wherever they come. */
  #ruleFor(kind: TypeKind, conversions: Conversions): FieldRule | undefined {
    if (kind === 'other') return undefined;
    const { commas } = this.#ways;
    const detected = kind === 'number' && commas?.type !== undefined ? commas.conversion : undefined;
    return ruleOf(this.#strict ? [] : ['', ...MARKERS], conversions[kind] ?? detected);
  }

  /** What flags say. Numbers that have no decimal commas, but points, are left to the server. */
  #conversions(): Conversions {
    const { numbers, dates, plain } = this.#ways;
    const isPlain = numbers?.fits === false && NUMBERS.includes(plain.type!);
    return { number: isPlain ? undefined : numbers?.conversion, date: dates?.conversion };
  }
}

function ruleOf(nulls: readonly string[], conversion: Conversion | undefined): FieldRule | undefined {
  if (conversion !== undefined) return { nulls, conversion };
  return nulls.length === 0 ? undefined : { nulls };
}
