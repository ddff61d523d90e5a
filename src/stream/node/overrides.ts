import type { Writable } from 'node:stream';

/** What Node calls on a stream that is written to, and `write` and `end` themselves. */
const METHODS = [
  '_construct', '_write', '_writev', '_final', '_destroy', 'write', 'end',
] as const satisfies readonly (keyof Writable)[]; // prettier-ignore

/** Whether a subclass of `base` has a method of its own in the place of one of ours. */
export function isOverridden(stream: Writable, base: Writable): boolean {
  return Object.getPrototypeOf(stream) !== base && METHODS.some((name) => stream[name] !== base[name]);
}
