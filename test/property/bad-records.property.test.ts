/** A good file with damage done to some of its records: all others come out as they were, once each, from the lines on which they stand. */

import fc from 'fast-check';
import { stringify } from 'lossless-json';
import { describe, expect, it } from 'vitest';
import { keepCsv, keepNdjson } from '../support/cli-records.js';
import { fastCheckRuns } from '../support/test-runs.js';

const MAX_RECORD_BYTES = 2_000;

/** In quotes it begins with a letter, so that an open quote before it does not make another record of the two. */
const word = fc.string({
  unit: fc.constantFrom('a', 'é', '😀', ' ', '-', ';', '1'),
  minLength: 1,
  maxLength: 6,
});
const quoted = fc
  .tuple(
    word,
    fc.string({ unit: fc.constantFrom('a', ',', '""', '\n', '\r\n', '\r', '日', "'"), maxLength: 8 }),
  )
  .map(([first, rest]) => `"x${first}${rest}"`);
const record = fc.array(fc.oneof(word, quoted, fc.constant('')), { minLength: 2, maxLength: 4 });

/**
 * Each writes something that is no record in place of one that is, on one line. None has a quote that ends a field where another left one
 * open: the two would be a record, to PostgreSQL as well.
 */
const damages: readonly ((fields: readonly string[]) => string)[] = [
  () => 'a,"open',
  () => '"open,a',
  () => '"a"b,c',
  () => '"a" ,"b"',
  () => 'a,5" disk',
  () => 'a"b',
  () => 'a,b\rc',
  () => 'a,\xff',
  () => `a,${'long'.repeat(MAX_RECORD_BYTES)}`,
  () => `a,"${'long,'.repeat(MAX_RECORD_BYTES)}"`,
];

const file = fc.record({
  records: fc.array(
    fc.tuple(record, fc.option(fc.nat({ max: damages.length - 1 }), { nil: undefined, freq: 4 })),
    { maxLength: 60 },
  ),
  lineBreak: fc.constantFrom('\n', '\r\n'),
  ended: fc.boolean(),
});
const cuts = fc.array(fc.nat({ max: 4_000 }), { maxLength: 10 });

/** A byte 0xFF where the text has U+00FF: else there is none in it. */
function toBytes(text: string): Buffer {
  return Buffer.concat(
    text.split('\xff').flatMap((part, index) => [Buffer.from(index === 0 ? [] : [0xff]), Buffer.from(part)]),
  );
}

/** Long numbers as the doubles that they were written from. */
function asJson(row: unknown): string {
  return JSON.stringify(JSON.parse(stringify(row)!));
}

function plainField(field: string): string | null {
  if (field === '') return null;
  return field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field;
}

describe('damaged records', () => {
  it('of CSV cost no other record', () => {
    fc.assert(
      fc.property(file, cuts, ({ records, lineBreak, ended }, at) => {
        const expected: unknown[] = [];
        const written: string[] = [];
        let line = 1;
        for (const [fields, damage] of records) {
          const text = damage === undefined ? fields.join(',') : damages[damage]!(fields);
          expected.push(damage === undefined ? { line, row: fields.map(plainField) } : { line, bad: true });
          written.push(text);
          line += text.split('\n').length;
        }
        // A lone delimiter never is: a record has two fields, so none is an empty line.
        const text = written.join(lineBreak) + (ended && written.length > 0 ? lineBreak : '');
        const { records: found, error } = keepCsv(toBytes(text), at, { maxRecordBytes: MAX_RECORD_BYTES });
        expect(error).toBeUndefined();
        const outline = found.map((one) => ('fault' in one ? { line: one.line, bad: true } : one));
        expect(outline).toEqual(expected);
        const texts = found.flatMap((one) => ('fault' in one ? [one.text] : []));
        const bad = written.filter((_, index) => records[index]![1] !== undefined);
        expect(texts).toEqual(bad.map((one) => one.replace('\xff', '\ufffd')));
      }),
      fastCheckRuns(1_000),
    );
  });

  it('of CSV that had line breaks within quotes cost no record that stands before or after them', () => {
    const multiline = fc.tuple(word, fc.array(word, { minLength: 1, maxLength: 4 }), fc.boolean());
    fc.assert(
      fc.property(
        fc.array(fc.tuple(record, fc.option(multiline, { nil: undefined })), { maxLength: 30 }),
        cuts,
        (records, at) => {
          const expected: unknown[] = [];
          const damaged = new Set<number>();
          let text = '';
          let line = 1;
          for (const [fields, damage] of records) {
            if (damage === undefined) {
              expected.push({ line, row: fields.map(plainField) });
              text += `${fields.join(',')}\n`;
            } else {
              const [first, inner, closed] = damage;
              const lines = [`a,"${first}`, ...inner, closed ? `end"oops` : 'end'];
              lines.forEach((_, index) => damaged.add(line + index));
              text += `${lines.join('\n')}\n`;
            }
            line = text.split('\n').length;
          }
          const { records: found } = keepCsv(text, at);
          expect(found.filter((one) => !damaged.has(one.line))).toEqual(expected);
          // Every line of the damage is told of, as a bad record or as one of its own.
          expect(found.filter((one) => damaged.has(one.line)).map((one) => one.line)).toEqual([...damaged]);
        },
      ),
      fastCheckRuns(500),
    );
  });

  it('of NDJSON cost no other record', () => {
    const good = fc
      .dictionary(fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 })
      .map((value) => JSON.stringify(value));
    const bad = fc.constantFrom('{', '[1]', '{"a":1}}', '\xff', `{"a":"${'x'.repeat(9_000)}"}`, '"', '\0');
    const blank = fc.constantFrom('', ' ', '\t');
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            good.map((text) => ({ text, kind: 'good' })),
            bad.map((text) => ({ text, kind: 'bad' })),
            blank.map((text) => ({ text, kind: 'blank' })),
          ),
          { maxLength: 40 },
        ),
        fc.constantFrom('\n', '\r\n'),
        cuts,
        (lines, lineBreak, at) => {
          const bytes = Buffer.concat(
            lines.map(({ text, kind }) => Buffer.from(text + lineBreak, kind === 'good' ? 'utf8' : 'latin1')),
          );
          const { records: found, error } = keepNdjson(bytes, at, 8_000);
          expect(error).toBeUndefined();
          const expected = lines.flatMap(({ text, kind }, index) => {
            if (kind === 'blank') return [];
            const line = index + 1;
            return [kind === 'good' ? { line, json: text } : { line, text: text.replace('\xff', '\ufffd') }];
          });
          const outline = found.map((one) =>
            'fault' in one ? { line: one.line, text: one.text } : { line: one.line, json: asJson(one.row) },
          );
          expect(outline).toEqual(expected);
        },
      ),
      fastCheckRuns(1_000),
    );
  });
});
