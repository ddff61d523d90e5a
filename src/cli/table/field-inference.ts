/**
 * The type of a column of CSV, and how its fields are read: markers of missing values, and decimal commas. Pure.
 *
 * A marker such as NA is NULL only in a column whose other values are all numbers, dates or booleans. In a column of texts it is a text.
 */

import { USUAL_NULLS } from '../detect/cell-kind.js';
import type { FieldRule } from '../csv/field-rules.js';
import type { TypeKind, TypeName } from '../args/type-name.js';
import { TypeInference, type InferredType } from './infer-types.js';

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

const DECIMAL_COMMA = /^-?(?:0|[1-9]\d*),(\d+)$/;
const DECIMAL_POINT = /^-?\d*\.\d*$/;

/** Whether `3,5` may be a number: by a flag, if it is detected, or never. `strict`: markers are texts, too. */
export type InferenceMode = 'given' | 'detect' | 'never' | 'strict';

export class FieldInference {
  readonly #mode: InferenceMode;
  readonly #plain = new TypeInference();
  /** As `#plain`, with decimal commas as points. */
  readonly #withCommas = new TypeInference();
  readonly #markers = new Set<string>();
  #hasPoint = false;
  #hasComma = false;
  /** A comma before three digits may as well divide thousands. */
  #isSureComma = false;

  constructor(mode: InferenceMode) {
    this.#mode = mode;
  }

  /** @param value `null` for NULL; an empty text was in quotes */
  add(value: string | null): void {
    if (value === null) return;
    if (this.#mode !== 'strict' && (value === '' || MARKERS.has(value))) {
      this.#markers.add(value);
      return;
    }
    this.#plain.addText(value);
    if (this.#mode === 'strict' || this.#mode === 'never') return;
    const comma = DECIMAL_COMMA.exec(value);
    if (comma === null) {
      this.#hasPoint ||= DECIMAL_POINT.test(value);
      this.#withCommas.addText(value);
      return;
    }
    this.#hasComma = true;
    this.#isSureComma ||= comma[1]!.length !== 3;
    this.#withCommas.addText(value.replace(',', '.'));
  }

  /** @param given the type that `--type` gives the column */
  done(given?: TypeName): { readonly type: string; readonly rule: FieldRule | undefined } {
    if (given !== undefined) return { type: given.text, rule: this.#ruleFor(given.kind) };
    const decimalComma = this.#isDecimalComma();
    const type = decimalComma ? this.#withCommas.type : this.#plain.type;
    if (!PLAIN_TYPES.includes(type))
      return { type: this.#markers.size === 0 ? type : 'text', rule: undefined };
    const nulls = [...this.#markers];
    return { type, rule: nulls.length === 0 && !decimalComma ? undefined : { nulls, decimalComma } };
  }

  /** No value of such a type is written as a marker, so that all of them are NULL, wherever they come. */
  #ruleFor(kind: TypeKind): FieldRule | undefined {
    if (kind === 'other' || this.#mode === 'strict') return undefined;
    const decimalComma = kind === 'number' && (this.#mode === 'given' || this.#isDecimalComma());
    return { nulls: ['', ...MARKERS], decimalComma };
  }

  #isDecimalComma(): boolean {
    if (!this.#hasComma || this.#hasPoint || this.#withCommas.type !== 'numeric') return false;
    return this.#mode === 'given' || this.#isSureComma;
  }
}
