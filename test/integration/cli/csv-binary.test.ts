/** The two ways of CSV once more, with each batch of plain lines tried in binary first, whatever its columns: nothing may differ. */

import { describe, vi } from 'vitest';
import type * as copyFormat from '../../../src/postgres/copy-format.js';

vi.mock('../../../src/postgres/copy-format.js', async (original) => {
  const actual = await original<typeof copyFormat>();
  class AlwaysBinary extends actual.FormatChoice {
    override isBinary(binary: copyFormat.BinaryFormat | undefined): binary is copyFormat.BinaryFormat {
      return binary !== undefined;
    }
  }
  return { ...actual, FormatChoice: AlwaysBinary };
});

describe('both ways', () => import('./csv-ways.test.js') as Promise<never>);
