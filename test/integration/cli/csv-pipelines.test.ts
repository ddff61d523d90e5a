/** CSV as blocks that the server reads, and row by row: whatever is in a file, both pipelines end alike, in table, rejects and words. */

import fc from 'fast-check';
import { describe, test } from 'vitest';
import { expectSame, useGround } from '../../support/both-pipelines.js';
import { useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';

const database = useTestDatabase();
const ground = useGround(
  database,
  'input.csv',
  'a int unique, b text, c varchar(4) not null, d numeric check (d < 1000)',
);

const FIELDS = [
  '', 'x', 'abcd', 'abcde', 'NULL', '\\N', '\\.', 'a\\b', '\\', 'a\nb', 'a\r\nb', 'a\rb', '\n\\.\n', 'a,b', 'a;b', 'a\tb', 'a"b', '"', "it's",
  'é', '日本', '😀', '\0', '\ufeff', ' 5 ',
]; // prettier-ignore

const number = fc.oneof(
  fc.integer({ min: 0, max: 60 }).map(String),
  fc.constantFrom('', '1001', 'x', '-1', '1e3'),
);
const usual = fc.tuple(
  fc.integer({ min: 0, max: 10_000 }).map(String),
  fc.constantFrom('', 'x', 'abcd', 'é', 'a\\b', '\\N', 'a,b', 'a"b', 'a\nb'),
  fc.constantFrom('c', 'cd'),
  fc.constantFrom('', '5', '0.5'),
);
const odd = fc.tuple(number, fc.constantFrom(...FIELDS), fc.constantFrom(...FIELDS), number);
const ragged = fc.array(fc.constantFrom(...FIELDS), { maxLength: 6 });
/** Most files have few records that are out of the way, for one of them may hide what the others would show. */
const records = fc
  .tuple(
    fc.array(fc.tuple(usual, fc.integer({ min: 0, max: 9 })), { maxLength: 10 }),
    fc.array(fc.tuple(fc.oneof(odd, ragged), fc.integer({ min: 0, max: 9 })), { maxLength: 2 }),
  )
  .map(([many, few]) => {
    const all: [string[], number][] = [...many];
    for (const [fields, seed] of few) all.splice(Math.ceil((seed * all.length) / 9), 0, [fields, seed]);
    return all;
  });

interface Shape {
  delimiter: string;
  nullText: string;
  lineBreak: string;
  strange: string[];
}

const shape = fc.record<Shape>({
  delimiter: fc.constantFrom(',', ';', '\t', '|', 'x'),
  nullText: fc.constantFrom('', '', 'NULL', '\\N', "'"),
  lineBreak: fc.constantFrom('\n', '\n', '\r\n'),
  // What is in the file as it is, after a record.
  strange: fc.array(
    fc.constantFrom('', '', '', '\n', '\r\n', '\r', '"', 'a"b', '"a"b', '\\.', '\\.\n', '\0', '\ufeff'),
    {
      maxLength: 1,
    },
  ),
});

function textOf(fields: readonly string[], { delimiter, lineBreak }: Shape, quotes: boolean): string {
  const needsQuotes = (field: string): boolean =>
    quotes || /["\r\n]/.test(field) || field.includes(delimiter);
  return (
    fields.map((field) => (needsQuotes(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(delimiter) +
    lineBreak
  );
}

describe('any CSV file', () => {
  test('ends alike as blocks and row by row', { timeout: 240_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        records,
        shape,
        fc.record({
          rejects: fc.boolean(),
          header: fc.boolean(),
          atomic: fc.boolean(),
          mark: fc.boolean(),
          open: fc.boolean(),
          invalid: fc.integer({ min: 0, max: 9 }),
          batchSize: fc.constantFrom(undefined, 1, 3, 100),
          conflict: fc.constantFrom('error', 'ignore', 'update'),
        }),
        async (found, form, choice) => {
          const lines = found.map(([fields, seed]) => textOf(fields, form, seed === 0));
          if (form.strange.length > 0) lines.splice(lines.length >> 1, 0, form.strange[0]!);
          let text = lines.join('');
          if (choice.open) text = text.replace(/\r?\n$/, '');
          const header = choice.header ? textOf(['a', 'b', 'c', 'd'], form, false) : '';
          const body = Buffer.from(`${choice.mark ? '\ufeff' : ''}${header}${text}`);
          if (choice.invalid === 0 && body.length > 20) body[body.length >> 1] = 0xff;
          const args = [
            '--delimiter', form.delimiter, '--null', form.nullText, '--connections', '1',
            ...(choice.header ? [] : ['--no-header']),
            ...(choice.atomic ? ['--atomic'] : []),
            ...(choice.batchSize === undefined ? [] : ['--batch-size', String(choice.batchSize)]),
            ...(choice.conflict === 'error' ? [] : ['--on-conflict', choice.conflict, '--key', 'a']),
          ]; // prettier-ignore
          await expectSame(ground, body, args, choice.rejects);
        },
      ),
      fastCheckRuns(100),
    );
  });
});
