/** The two pipelines of NDJSON once more, with each batch of plain lines tried in binary first, whatever its columns: nothing may differ. */

import { describe, vi } from 'vitest';
import type * as copyFormat from '../../../src/postgres/rows/copy-format.js';

vi.mock('../../../src/postgres/rows/copy-format.js', async (original) => {
  const { alwaysBinary } = await import('../../support/always-binary.js');
  return alwaysBinary(await original<typeof copyFormat>());
});

describe('both pipelines', () => import('./ndjson-pipelines.test.js') as Promise<never>);
