/** What is known of an object that wraps a list of records. */

import { COLLECTION, FEATURES } from './first-object.js';

export class Wrapper {
  /** The key whose value comes next. */
  key = '';
  /** The key of the list; undefined until it is known. */
  list: string | undefined;
  /** The list has ended. */
  isListDone = false;
  /** It has said that it is a FeatureCollection. */
  isCollection = false;
  readonly #isKnown: boolean;

  /** @param list its key, if it was found before the object is cut */
  constructor(list: string | undefined) {
    this.list = list;
    this.#isKnown = list !== undefined;
  }

  /** The array at this key is the list, even if it is empty. */
  get isAtList(): boolean {
    if (this.isListDone) return false;
    return this.#isKnown ? this.key === this.list : this.isCollection && this.key === FEATURES;
  }

  /** The array at this key is the list, or one too many, if its first element is an object. */
  get mayBeAtList(): boolean {
    return !this.#isKnown && (!this.isCollection || this.key === FEATURES);
  }

  /** Learns the value of a member that is no list. */
  seeMember(value: unknown): void {
    if (this.key === 'type') this.isCollection = value === COLLECTION;
  }
}

/** Returns why such an object is refused. */
export function severalLists(keys: readonly string[]): string {
  const names = keys.map((key) => JSON.stringify(key)).join(', ');
  return `the object has several lists of objects, and only one can become rows: ${names}; take one out, for example with jq`;
}
