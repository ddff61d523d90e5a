/** Files with values that flags speak of: as blocks and row by row, both pipelines end alike, in table, rejects and words. */

import fc from 'fast-check';
import { test } from 'vitest';
import { expectSame, useGround } from '../../support/both-pipelines.js';
import { useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';

const database = useTestDatabase();
const ground = useGround(
  database,
  'input.csv',
  'a int unique, d date, t timestamptz, n numeric check (n < 5000), s text',
);

const date = fc.constantFrom(
  '5/3/2024',
  '31.12.99',
  '1 Mar 2024',
  '2024-02-29',
  '',
  '31/2/2024',
  '13/13/2024',
  'soon',
  'infinity',
);
const time = fc.constantFrom('5/3/2024 10:00', '5/3/2024 10:00 pm +02', '', '2024-02-29', '5/3/2024 25:00');
const number = fc.constantFrom('"1,234.50"', '(5)', '$7', '12', '', '"1,5"', '"9,999"', 'x', 'NA');
const text = fc.constantFrom('', 'x', '"a ""b"""', '"c\nd"', 'é\\', ' y ', 'NA', '-');
const usual = fc.tuple(fc.constantFrom('5/3/2024', '31.12.99'), fc.constantFrom('5/3/2024 10:00'), fc.constantFrom('"1,234.50"', '12'), text); // prettier-ignore
const odd = fc.tuple(date, time, number, text);
const files = fc.record({
  records: fc.array(fc.oneof({ weight: 6, arbitrary: usual }, { weight: 1, arbitrary: odd }), { minLength: 1, maxLength: 12 }),
  hasHeader: fc.boolean(),
  flags: fc.subarray(['--dates dmy', '--numbers 1,234.5', '--trim', '--null -', '--null-for n=NA', '--strict', '--batch-size 3'], { minLength: 1 }),
  rejects: fc.boolean(),
}); // prettier-ignore

test('any file gives the same by both', async () => {
  await fc.assert(
    fc.asyncProperty(files, async ({ records, hasHeader, flags, rejects }) => {
      const lines = records.map((fields, at) => [String(at), ...fields].join(','));
      const header = hasHeader ? ['a,d,t,n,s'] : [];
      const args = [...flags.flatMap((flag) => flag.split(' ')), hasHeader ? '--header' : '--no-header', '--connections', '1'];
      const given = flags.includes('--strict') ? args : [...args, '--delimiter', ',', '--quote', '"'];
      await expectSame(ground, Buffer.from(`${[...header, ...lines].join('\n')}\n`), given, rejects);
    }),
    fastCheckRuns(60),
  );
}); // prettier-ignore
