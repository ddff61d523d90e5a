/**
 * Rewrites features of GeoJSON as records: the properties, then `geometry` and `id`.
 *
 * ```text
 *   {"type":"Feature","id":7,"geometry":{…},"properties":{"name":"x","pop":1.50}}
 *   ─▶ {"name":"x","pop":1.50,"geometry":{…},"id":7}
 * ```
 *
 * Values are copied byte by byte. Other members of a feature, such as `bbox`, are left out.
 */

import { CLOSING_BRACE, COMMA, LINE_FEED, OPENING_BRACE } from '../../common/bytes.js';
import type { ByteOutput } from './byte-output.js';
import { InputError } from '../common/errors.js';
import { afterSpace, elementsIn, forEachMember, textOf } from './members.js';

/** Members of a feature that become columns beside its properties. */
const LIFTED = ['geometry', 'id'] as const;
type Lifted = (typeof LIFTED)[number];

interface Span {
  readonly start: number;
  readonly end: number;
}

interface Feature {
  readonly properties: Span | undefined;
  readonly lifted: ReadonlyMap<Lifted, Span>;
}

/** Returns undefined for anything but a whole feature. */
function readFeature(bytes: Buffer): Feature | undefined {
  const found = new Map<string, Span>();
  const others: Span[] = [];
  const isObject = forEachMember(bytes, (key, start, end) => {
    if (MEMBERS.has(key)) found.set(key, { start, end });
    else others.push({ start, end });
  });
  const valueOf = (span: Span | undefined): Buffer => bytes.subarray(span?.start ?? 0, span?.end ?? 0);
  if (!isObject || textOf(valueOf(found.get('type'))) !== 'Feature') return undefined;
  if (!others.every((other) => isJson(valueOf(other)))) return undefined;
  const properties = found.get('properties');
  const hasProperties = properties !== undefined && !valueOf(properties).equals(NULL);
  if (hasProperties && bytes[properties.start] !== OPENING_BRACE) return undefined;
  const lifted = new Map<Lifted, Span>();
  for (const name of LIFTED) {
    const span = found.get(name);
    if (span !== undefined) lifted.set(name, span);
  }
  return { properties: hasProperties ? properties : undefined, lifted };
}

const MEMBERS = new Set(['type', 'properties', ...LIFTED]);
const NULL = Buffer.from('null');

function isJson(value: Buffer): boolean {
  try {
    JSON.parse(value.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

function isFeature(bytes: Buffer): boolean {
  return readFeature(bytes) !== undefined;
}

/** Returned in place of a name that clashes. */
export const NO_FEATURE = Symbol('no feature');

export function clashOf(property: string): string {
  return (
    `the property ${JSON.stringify(property)} comes first in this feature, ` +
    "and the column of this name has the feature's own; rename it"
  );
}

/** The columns of `geometry` and `id`: with `_2` if a property has the name. */
export class FeatureColumns {
  /** As they are written before their values. */
  readonly #keys = new Map<Lifted, Buffer>();
  readonly #taken = new Set<string>();

  /**
   * @param input from the list's first element on
   * @param isCollection the object is a FeatureCollection
   * @returns undefined if the first element is no feature, and needs to be none
   */
  static ofList(input: Buffer, isCollection: boolean): FeatureColumns | undefined {
    const sample = sampleOf(input);
    const [first] = sample;
    return isCollection || (first !== undefined && isFeature(first)) ? new FeatureColumns(sample) : undefined;
  }

  private constructor(sample: readonly Buffer[]) {
    const properties = new Set<string>();
    for (const bytes of sample) {
      const span = readFeature(bytes)?.properties;
      if (span !== undefined)
        forEachMember(bytes.subarray(span.start, span.end), (key) => {
          if (MAY_CLASH.test(key)) properties.add(key);
        });
    }
    for (const lifted of LIFTED) {
      let name: string = lifted;
      for (let number = 2; properties.has(name); number += 1) name = `${lifted}_${number}`;
      this.#taken.add(name);
      this.#keys.set(lifted, Buffer.from(`${JSON.stringify(name)}:`));
    }
  }

  /**
   * Writes a feature as a record and a line feed. Otherwise nothing is written.
   *
   * @returns undefined; for a property that has the name of a column here, and was not in the sample, its name
   */
  write(bytes: Buffer, output: ByteOutput): string | typeof NO_FEATURE | undefined {
    const feature = readFeature(bytes);
    if (feature === undefined) return NO_FEATURE;
    const { properties, lifted } = feature;
    const taken = this.#taken;
    const clashes: string[] = [];
    const isObject =
      properties === undefined ||
      forEachMember(bytes.subarray(properties.start, properties.end), (key) => {
        if (taken.has(key)) clashes.push(key);
      });
    if (!isObject) return NO_FEATURE;
    if (clashes.length > 0) return clashes[0];
    output.appendByte(OPENING_BRACE);
    let isFirst = true;
    if (properties !== undefined) {
      const members = bytes.subarray(properties.start + 1, properties.end - 1);
      output.append(members);
      isFirst = afterSpace(members, 0) === members.length;
    }
    for (const [name, { start, end }] of lifted) {
      if (!isFirst) output.appendByte(COMMA);
      isFirst = false;
      output.append(this.#keys.get(name)!);
      output.append(bytes.subarray(start, end));
    }
    output.appendByte(CLOSING_BRACE);
    output.appendByte(LINE_FEED);
    return undefined;
  }
}

const MAY_CLASH = /^(?:geometry|id)(?:_\d+)?$/;

/** Features whose properties are looked at for names that clash. */
const FEATURE_SAMPLE_BYTES = 4 * 1024 * 1024;

/** Returns the features that are whole: the first one, and those of the first bytes. */
function sampleOf(input: Buffer): Buffer[] {
  const sample: Buffer[] = [];
  let length = 0;
  try {
    for (const element of elementsIn(input, 0)) {
      sample.push(element);
      length += element.length;
      if (length > FEATURE_SAMPLE_BYTES) break;
    }
  } catch (error) {
    // The cutter meets it again, and knows its line.
    if (!(error instanceof InputError)) throw error;
  }
  return sample;
}
