/** Fields that were rewritten, or cannot be. For the server they are what they became; the file of rejects shows them as they were written. */

import { ValueFault } from '../../postgres/encoding/text/value-fault.js';
import { expectedBy, sqlStateOf, type Conversion } from './conversion.js';

export class ConvertedField {
  /** As it stands in the file. */
  readonly written: string;
  readonly #text: string;

  constructor(written: string, text: string) {
    this.written = written;
    this.#text = text;
  }

  /** The text for the server. @throws {ValueFault} if there is none */
  toPostgres(): string {
    return this.#text;
  }

  toJSON(): string {
    return this.written;
  }
}

/** Returns the text of a field that was rewritten, and anything else as it is. */
export function textForServer(value: unknown): unknown {
  return value instanceof ConvertedField && !(value instanceof RefusedField) ? value.toPostgres() : value;
}

/** Characters of a text that a message quotes. */
const QUOTED = 40;

/** A text that does not fit its column's conversion. */
export class RefusedField extends ConvertedField {
  readonly #conversion: Conversion;

  constructor(written: string, conversion: Conversion) {
    super(written, written);
    this.#conversion = conversion;
  }

  /** Why it is refused, after the name of the column. */
  get reason(): string {
    const { written } = this;
    const quoted = written.length > QUOTED ? `${written.slice(0, QUOTED)}…` : written;
    return `must be ${expectedBy(this.#conversion)}; got ${JSON.stringify(quoted)}`;
  }

  override toPostgres(): never {
    throw new ValueFault(sqlStateOf(this.#conversion), this.reason);
  }
}
