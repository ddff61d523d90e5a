/** In place of the choice of a format, for tests that try each batch in binary first, wherever its columns' types allow it. */

import type * as copyFormat from '../../src/postgres/rows/copy-format.js';

/** What `vi.mock` is to answer for `copy-format.ts`. */
export function alwaysBinary(actual: typeof copyFormat): typeof copyFormat {
  class AlwaysBinary extends actual.FormatChoice {
    override isBinary(binary: copyFormat.BinaryFormat | undefined): binary is copyFormat.BinaryFormat {
      return binary !== undefined;
    }
  }
  return { ...actual, FormatChoice: AlwaysBinary };
}
