/** Ways to read the values of one column of CSV: as flags say, with a decimal comma, or as they stand. Pure. */

import { pairOf, readBoolean, type BooleanPair } from '../values/booleans.js';
import { numberConversion, type Conversion, type Convert } from '../values/conversion.js';
import { readDate, type DateOrder } from '../values/dates.js';
import { DECIMAL_COMMA, numberReader, type NumberFormat } from '../values/numbers.js';
import type { ValueFlags } from '../values/value-flags.js';
import { TypeInference, type InferredType } from './infer-types.js';

interface WayOptions {
  /** Returns the text as the server would read it; undefined: the value does not fit, and so the column does not. */
  readonly convert: Convert;
  /** The types that the column may get. Undefined: any. */
  readonly types?: readonly InferredType[];
  /** Undefined: the server reads the values as they stand. */
  readonly conversion?: () => Conversion;
  /** The values so far show that this way is meant. */
  readonly isSure?: () => boolean;
}

export class ValueWay {
  readonly #options: WayOptions;
  readonly #inference = new TypeInference();
  #values = 0;
  #read = 0;
  #misfit: string | undefined;

  constructor(options: WayOptions) {
    this.#options = options;
  }

  add(value: string): void {
    this.#values += 1;
    const text = this.#options.convert(value);
    if (text === undefined) this.#misfit ??= value;
    else {
      this.#read += 1;
      this.#inference.addText(text);
    }
  }

  /** All values so far can be read. */
  get fits(): boolean {
    return this.#misfit === undefined;
  }

  /** The first value that cannot be read. */
  get misfit(): string | undefined {
    return this.#misfit;
  }

  /** Part of the values that can be read. */
  get share(): number {
    return this.#read / this.#values;
  }

  get conversion(): Conversion | undefined {
    return this.#options.conversion?.();
  }

  /** The column's type if this way is chosen; undefined if it cannot be. */
  get type(): InferredType | undefined {
    const { types, isSure } = this.#options;
    const { type } = this.#inference;
    if (types === undefined) return type;
    const isChosen = this.fits && this.#read > 0 && types.includes(type) && isSure?.() !== false;
    return isChosen ? type : undefined;
  }
}

export interface ValueWays {
  /** The best first. The last one takes any value. */
  readonly all: readonly ValueWay[];
  readonly numbers: ValueWay | undefined;
  readonly dates: ValueWay | undefined;
  /** Detected decimal commas. */
  readonly commas: ValueWay | undefined;
  readonly plain: ValueWay;
}

export function waysFor(flags: ValueFlags, detectsCommas: boolean): ValueWays {
  const numbers = flags.numbers && writtenNumbers(flags.numbers);
  const dates = flags.dates && writtenDates(flags.dates);
  const booleans = flags.booleans ? booleanWords() : undefined;
  const commas = detectsCommas && numbers === undefined ? decimalCommas() : undefined;
  const plain = new ValueWay({ convert: flags.numbers?.group === '.' ? withoutPoints : (text) => text });
  const all = [numbers, dates, booleans, commas, plain].filter((way) => way !== undefined);
  return { all, numbers, dates, commas, plain };
}

/** All values must have one unit, or none. Zero needs none. */
export function writtenNumbers(format: NumberFormat): ValueWay {
  const read = numberReader(format);
  let unit = '';
  let hasBare = false;
  const convert = (text: string): string | undefined => {
    const number = read(text);
    if (number === undefined) return undefined;
    if (number.unit === '') hasBare ||= number.needsUnit;
    else if (unit === '' || unit === number.unit) ({ unit } = number);
    else return undefined;
    return hasBare && unit !== '' ? undefined : number.text;
  };
  const conversion = () => numberConversion(format, unit);
  return new ValueWay({ convert, conversion, types: ['bigint', 'numeric'] });
}

export function writtenDates(order: DateOrder): ValueWay {
  return new ValueWay({
    convert: (text) => readDate(text, order),
    conversion: () => ({ kind: 'date', order }),
    types: ['date', 'timestamp', 'timestamptz'],
  });
}

/** All values are of one pair. Of letters, both must occur: F may stand for something else. */
export function booleanWords(): ValueWay {
  const found = new Set<string>();
  let pair: BooleanPair | undefined;
  const convert = (text: string): string | undefined => {
    pair ??= pairOf(text);
    const word = pair && readBoolean(text, pair);
    if (word !== undefined) found.add(word);
    return word;
  };
  const conversion = (): Conversion => ({ kind: 'boolean', words: pair! });
  return new ValueWay({
    convert,
    conversion,
    types: ['boolean'],
    isSure: () => pair![0].length > 1 || found.size === 2,
  });
}

const WITH_COMMA = /^-?(?:(0|[1-9]\d*)?,(\d+)|(?:0|[1-9]\d*),)$/;
const WITH_POINT = /^-?\d*\.\d*$/;

/** A comma before three digits may as well divide thousands: another one must show what it is. */
function decimalCommas(): ValueWay {
  let isSure = false;
  const convert = (text: string): string | undefined => {
    const match = WITH_COMMA.exec(text);
    if (match === null) return WITH_POINT.test(text) ? undefined : text;
    const [, whole, places] = match;
    isSure ||= whole === undefined || places!.length !== 3;
    return text.replace(',', '.');
  };
  const conversion = () => numberConversion(DECIMAL_COMMA, '');
  return new ValueWay({ convert, conversion, types: ['numeric'], isSure: () => isSure });
}

/** Where points divide thousands, a number with another point is a text: its value is not known. */
function withoutPoints(text: string): string {
  return WITH_POINT.test(text) ? `text ${text}` : text;
}
