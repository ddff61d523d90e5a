/** `--nul`: U+0000, which PostgreSQL cannot store, is left out or replaced by U+FFFD: as a byte, and in JSON also as an escape. */

import { BACKSLASH } from '../../common/bytes.js';
import { GrowingBuffer } from './growing-buffer.js';
import type { ByteConverter } from './source.js';
import type { NulAction } from '../values/value-flags.js';

const SUBSTITUTES: Readonly<Record<NulAction, Buffer>> = {
  strip: Buffer.alloc(0),
  replace: Buffer.from('\ufffd'),
};
const LETTER_U = 0x75;
const ESCAPE = Buffer.from('\\u0000');

/** Returns the same object if there is none. */
export function withoutNul(bytes: Buffer, action: NulAction): Buffer {
  let at = bytes.indexOf(0);
  if (at === -1) return bytes;
  const output = new GrowingBuffer(bytes.length * Math.max(1, SUBSTITUTES[action].length));
  let from = 0;
  for (; at !== -1; at = bytes.indexOf(0, from)) {
    output.append(bytes.subarray(from, at));
    output.append(SUBSTITUTES[action]);
    from = at + 1;
  }
  output.append(bytes.subarray(from));
  return output.bytes;
}

/** For JSON, whose escapes may be cut between two slices. */
export class NulConverter implements ByteConverter {
  readonly #action: NulAction;
  /** The beginning of an escape. */
  #rest = Buffer.alloc(0);

  constructor(action: NulAction) {
    this.#action = action;
  }

  convert(bytes: Buffer, isLast: boolean): Buffer {
    const plain = withoutNul(bytes, this.#action);
    const input = this.#rest.length === 0 ? plain : Buffer.concat([this.#rest, plain]);
    const output = new GrowingBuffer(input.length);
    let from = 0;
    let end = input.length;
    // From one escape to the next: the backslash that a backslash escapes begins none.
    for (let at = input.indexOf(BACKSLASH); at !== -1;) {
      const length = input[at + 1] === LETTER_U ? ESCAPE.length : 2;
      if (at + length > input.length && !isLast) {
        end = at;
        break;
      }
      if (length === ESCAPE.length && ESCAPE.equals(input.subarray(at, at + length))) {
        output.append(input.subarray(from, at));
        output.append(SUBSTITUTES[this.#action]);
        from = at + length;
      }
      at = input.indexOf(BACKSLASH, at + length);
    }
    // A copy: the memory of a slice is used again.
    this.#rest = Buffer.from(input.subarray(end));
    if (from === 0 && end === input.length) return input;
    output.append(input.subarray(from, end));
    return output.bytes;
  }
}
