import { types } from 'node:util';

/**
 * Remembers what the last options resolved to, for the next ones that have the same values.
 *
 * Streams that live for one item are made in a loop, in one place, with the same options. To resolve those takes as long as a seventh of
 * such a life. Only plain objects are remembered whose values are neither objects nor functions: these may change, and hold memory.
 */
export class RepeatedOptions<Resolved extends object> {
  #names: readonly string[] = [];
  #values: readonly unknown[] = [];
  #resolved: Readonly<Resolved> | undefined;

  /** @param make resolves the options; what it returned is shared, and therefore frozen */
  resolve(given: object, make: () => Resolved): Readonly<Resolved> {
    if (!isPlainObject(given)) return make();
    // Those that are not enumerable count, too: they are read by their names.
    const names = Object.getOwnPropertyNames(given);
    if (this.#resolved !== undefined && this.#areSame(given, names)) return this.#resolved;
    const values = names.map((name) => given[name]);
    const resolved = make();
    // A getter may have returned something else the second time.
    const isSteady = names.every(
      (name, index) => isPlainValue(values[index]) && given[name] === values[index],
    );
    if (!isSteady) return resolved;
    this.#names = names;
    this.#values = values;
    return (this.#resolved = Object.freeze(resolved));
  }

  #areSame(given: Record<string, unknown>, names: readonly string[]): boolean {
    if (names.length !== this.#names.length) return false;
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index]!;
      if (name !== this.#names[index] || given[name] !== this.#values[index]) return false;
    }
    return true;
  }
}

/** A proxy may have values for names that it does not list; and a class instance inherits some. */
function isPlainObject(given: object): given is Record<string, unknown> {
  return !types.isProxy(given) && Object.getPrototypeOf(given) === Object.prototype;
}

function isPlainValue(value: unknown): boolean {
  return value === undefined || (typeof value !== 'object' && typeof value !== 'function');
}
