/** The sample at the beginning of the input, where bad records are kept. */

import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { LoadOptions } from '../../../../src/cli/args/options.js';
import { previewInput } from '../../../../src/cli/table/preview.js';
import { Source } from '../../../../src/cli/input/source.js';

const OPTIONS = {
  delimiter: ',',
  nullText: '',
  otherNulls: [],
  nullsFor: {},
  types: {},
  header: true,
  columns: undefined,
  strict: true,
  valueFlags: { dates: undefined, numbers: undefined, booleans: false },
  skipped: 0,
  maxRecordBytes: 1_000,
} as const;

function preview(
  text: string | Buffer,
  options: Partial<LoadOptions>,
  keepsBadRecords = true,
): Promise<[string, string][]> {
  const file = { name: 'f', path: undefined, sizeBytes: undefined };
  const source = new Source([file], Readable.from([Buffer.from(text)], { objectMode: false }));
  const full = { ...OPTIONS, format: 'csv', ...options } as LoadOptions;
  return previewInput(source, full, { withTypes: true, keepsBadRecords }).then(({ names }) =>
    (names ?? []).map(({ name, type }) => [name, type]),
  );
}

describe('types of a sample with bad records', () => {
  it('are those of the good ones', async () => {
    const csv = 'a,b\nx"y,1\n1,2,3\n1\n\n"1"z,x\n5,2024-01-01\n6,\n7,"open\n';
    expect(await preview(csv, {})).toEqual([
      ['a', 'bigint'],
      ['b', 'date'],
    ]);
    const ndjson = '{"a":"x"\n[1]\n{"a":1}\n{"a":2,"b":true}\n';
    expect(await preview(ndjson, { format: 'ndjson' })).toEqual([
      ['a', 'bigint'],
      ['b', 'boolean'],
    ]);
  });

  it('are refused where there is a bad record first and they are not kept', async () => {
    await expect(preview('a,b\nx"y,1\n1,2\n', {}, false)).rejects.toThrow('f:2: a quote stands inside');
    await expect(preview('[1]\n{"a":1}\n', { format: 'ndjson' }, false)).rejects.toThrow('f:1: expected');
  });

  it('need a good header in any case', async () => {
    await expect(preview('a,b"\n1,2\n', {})).rejects.toThrow('f:1: a quote stands inside');
    await expect(preview('a,a\n1,2\n', {})).rejects.toThrow('f:1: the header has "a" twice');
    await expect(preview(Buffer.from('a,\xff\n1,2\n', 'latin1'), {})).rejects.toThrow('f:1: not UTF-8');
    await expect(preview('', {})).rejects.toThrow('is empty');
  });
});
