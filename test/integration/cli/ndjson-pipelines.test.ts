/** NDJSON as blocks of COPY's text, and row by row: whatever is in a file, both pipelines end alike, in table, rejects and words. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectSame, useGround } from '../../support/both-pipelines.js';
import { useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns, testRuns } from '../../support/test-runs.js';

const database = useTestDatabase();
const ground = useGround(
  database,
  'input.ndjson',
  'a int unique, b text, c varchar(4) not null, d numeric check (d < 1000), e jsonb, f float8, g int[], h timestamptz, "toString" bool',
);

type Pair = readonly [key: string, json: string];

const TEXTS = [
  '""', '"x"', '"abcd"', '"abcde"', '"NULL"', '"\\\\N"', '"\\\\."', '"a\\tb"', '"a\\nb\\r\\n"', '"é日😀"', '"\\u00e9\\ud83d\\ude00"',
  '"\\u0000"', '"\\ud83d"', '"a\tb"', '"open', '"\\x"', '" 5 "', '"{1,2}"',
]; // prettier-ignore
const NUMBERS = [
  '0', '-0', '1.50', '1e3', '1E-7', '999.999', '1001', '12345678901234567890.123456789012345678901', '9223372036854775808',
  '1e400', '01', '1.', '2147483648', '-2147483648',
]; // prettier-ignore
const WORDS = ['null', 'true', 'false', 'nul', 'NaN', ''];
const NESTED = [
  '[]',
  '[1,2,null]',
  '[[1,2],[3,4]]',
  '[[1],[2,3]]',
  '["x"]',
  '{}',
  ' { "k" : [ 1.50 , {"n":null} ] } ',
  '{"k":1,"k":2}',
  '[1,',
];
const TIMES = ['"2001-01-01T00:01:00Z"', '"infinity"', '"2001-13-01"', '"yesterday or so"'];

const any = fc.constantFrom(...TEXTS, ...NUMBERS, ...WORDS, ...NESTED, ...TIMES);
const usualA = fc.integer({ min: 0, max: 10_000 }).map(String);
const usual: fc.Arbitrary<Pair[]> = fc
  .tuple(
    usualA,
    fc.constantFrom('null', '""', '"x"', '"\\\\N"', '"a\\tb\\u00e9"', '"é"', '1.5', 'true', '{"k":[1]}'),
    fc.constantFrom('"c"', '"cd"', '5'),
    fc.constantFrom('null', '5', '0.50', '12.345678901234567890123', '"7"'),
    fc.constantFrom('null', '"t"', '{"k":[1.0,null,"\\n"]}', '[1,2]', '12345678901234567890'),
    fc.constantFrom('1.5', '1e3', '"NaN"'),
    fc.constantFrom('[1,2]', '"{3}"', '[]'),
    fc.constantFrom('null', '"2001-01-01T00:01:00Z"'),
    fc.constantFrom('true', 'false', 'null'),
  )
  .map((values) => values.map((json, index) => [KEYS[index]!, json]));
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'toString'];
const key = fc.constantFrom(...KEYS, '\\u0061', 'unknown', '__proto__');
/** One value that is out of the way in a record that is not, or any keys at all. */
const odd: fc.Arbitrary<Pair[]> = fc.oneof(
  fc
    .tuple(usual, fc.nat({ max: KEYS.length - 1 }), any)
    .map(([pairs, place, json]) =>
      pairs.map((pair, index): Pair => (index === place ? [pair[0], json] : pair)),
    ),
  fc
    .tuple(usual, fc.array(fc.tuple(key, any), { minLength: 1, maxLength: 2 }))
    .map(([pairs, more]) => [...pairs, ...more]),
  fc.array(fc.tuple(key, any), { maxLength: 4 }),
);
const shuffled = usual.chain((pairs) => fc.shuffledSubarray(pairs, { minLength: 1 }));

const record = fc
  .tuple(fc.oneof({ weight: 3, arbitrary: usual }, { weight: 1, arbitrary: shuffled }), fc.boolean())
  .map(([pairs, spaces]) => textOf(pairs, spaces));
const oddLine = fc.oneof(
  odd.map((pairs) => textOf(pairs, false)),
  fc.constantFrom(
    '[1]',
    'null',
    '{',
    '}',
    '{}',
    'x',
    '{"a":1}{"a":2}',
    '{"a":1,}',
    `{"b":"${'x'.repeat(900)}"}`,
    '\ufeff{"c":""}',
  ),
);
const blank = fc.constantFrom('', ' ', '\t\r', '\u00a0');

function textOf(pairs: readonly Pair[], spaces: boolean): string {
  const space = spaces ? ' ' : '';
  return `{${space}${pairs.map(([name, json]) => `"${name}"${space}:${space}${json}`).join(`,${space}`)}${space}}`;
}

/** Most files have few records that are out of the way, for one of them may hide what the others would show. */
const lines = fc
  .tuple(
    fc.array(record, { maxLength: 12 }),
    fc.array(fc.tuple(oddLine, fc.nat()), { maxLength: 2 }),
    fc.array(fc.tuple(blank, fc.nat()), { maxLength: 3 }),
  )
  .map(([many, few, blanks]) => {
    const all = [...many];
    for (const [line, place] of [...few, ...blanks]) all.splice(place % (all.length + 1), 0, line);
    return all;
  });

const FILE_RUNS = testRuns(150);

describe('any NDJSON file', () => {
  test('ends alike as blocks and row by row', { timeout: 240_000 }, async () => {
    let loaded = 0;
    await fc.assert(
      fc.asyncProperty(
        lines,
        fc.record({
          lineBreak: fc.constantFrom('\n', '\n', '\r\n'),
          rejects: fc.boolean(),
          atomic: fc.boolean(),
          mark: fc.boolean(),
          open: fc.boolean(),
          chosen: fc.boolean(),
          // With arrays, a table is never written in binary.
          listType: fc.constantFrom('int[]', 'text'),
          invalid: fc.integer({ min: 0, max: 9 }),
          batchSize: fc.constantFrom(undefined, 1, 3, 100),
          conflict: fc.constantFrom('error', 'ignore', 'update'),
        }),
        async (found, choice) => {
          const text = found.join(choice.lineBreak) + (choice.open ? '' : choice.lineBreak);
          const body = Buffer.from(`${choice.mark ? '\ufeff' : ''}${text}`);
          if (choice.invalid === 0 && body.length > 20) body[body.length >> 1] = 0xff;
          const args = [
            '--connections', '1', '--max-record-bytes', '800',
            ...(choice.chosen ? ['--columns', 'c,a,e,b'] : []),
            ...(choice.atomic ? ['--atomic'] : []),
            ...(choice.batchSize === undefined ? [] : ['--batch-size', String(choice.batchSize)]),
            ...(choice.conflict === 'error' ? [] : ['--on-conflict', choice.conflict, '--key', 'a']),
          ]; // prettier-ignore
          const columns = ground.columns.replace('int[]', choice.listType);
          const ending = await expectSame({ ...ground, columns }, body, args, choice.rejects);
          loaded += (ending.table as unknown[]).length;
        },
      ),
      fastCheckRuns(FILE_RUNS),
    );
    expect(loaded).toBeGreaterThan(FILE_RUNS);
  });
});
