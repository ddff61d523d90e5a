import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LongReport } from '../../../../src/postgres/protocol/long-report.js';
import { message } from '../../../support/server-bytes.js';

const MOST = 32 * 1024;

/** Texts of a few characters and of many, of one to four bytes a character. */
const texts = fc.array(
  fc
    .tuple(
      fc.constantFrom('x', 'é', '語', '🛶'),
      fc.constantFrom(0, 1, 7, MOST / 4 - 1, MOST, MOST + 1, 90_000),
    )
    .map(([character, count]) => `M${'a'.repeat(count % 3)}${character.repeat(count)}`),
  { maxLength: 5 },
);

const reportOf = (fields: readonly string[]): Buffer => message('E', ...fields, Buffer.from([0]));

/** Takes a message in chunks that end at `cuts`, each with bytes of other messages around it. */
function take(whole: Buffer, cuts: readonly number[]): LongReport {
  const report = new LongReport(whole.length);
  const places = [5, ...cuts.map((cut) => Math.max(5, cut % whole.length)), whole.length];
  let from = 0;
  for (const to of places.toSorted((a, b) => a - b)) {
    const isLast = to === whole.length;
    const chunk = Buffer.concat([
      Buffer.from('before'),
      whole.subarray(from, to),
      Buffer.from(isLast ? 'after' : ''),
    ]);
    expect(report.take(chunk, 6)).toBe(6 + to - from);
    from = to;
    if (!isLast) expect(report.isWhole).toBe(false);
  }
  return report;
}

const textsOf = (bytes: Buffer): string[] => bytes.toString('utf8', 5).split('\0').slice(0, -2);

describe('a long report', () => {
  test('keeps short texts and the beginnings of long ones, however it was cut into chunks', () => {
    fc.assert(
      fc.property(texts, fc.array(fc.nat(), { maxLength: 8 }), (fields, cuts) => {
        const whole = reportOf(fields);
        const report = take(whole, cuts);
        expect(report.isWhole).toBe(true);
        const short = report.message();
        expect(short.readUInt32BE(1)).toBe(short.length - 1);
        const kept = textsOf(short);
        expect(kept).toHaveLength(fields.length);
        for (const [index, field] of fields.entries()) {
          if (Buffer.byteLength(field) <= MOST) expect(kept[index] === field).toBe(true);
          else {
            expect(kept[index]!.endsWith('…') && field.startsWith(kept[index]!.slice(0, -1))).toBe(true);
            expect(Buffer.byteLength(kept[index]!)).toBeGreaterThan(MOST - 4);
            expect(Buffer.byteLength(kept[index]!)).toBeLessThanOrEqual(MOST + 3);
          }
        }
      }),
    );
  });

  test('that is given up in the middle has the length that was received', () => {
    const whole = reportOf(['C22P02', `M${'x'.repeat(200_000)}`, 'Rroutine']);
    for (const length of [5, 6, 40, 100_000, 200_010, whole.length - 1]) {
      const report = new LongReport(whole.length);
      report.take(whole.subarray(0, length), 0);
      const rest = Buffer.concat([report.beginning(), whole.subarray(length)]);
      expect(rest).toHaveLength(whole.length);
      expect(rest.subarray(0, 5)).toEqual(whole.subarray(0, 5));
      expect(textsOf(rest).map((text) => text.trimEnd().slice(0, 8))).toEqual(
        expect.arrayContaining(['C22P02', 'Mxxxxxxx']),
      );
    }
  });

  test('without its last zero is as malformed when it is shortened', () => {
    const whole = message('E', `M${'x'.repeat(200_000)}`, Buffer.from('Rroutine'));
    expect(take(whole, [70_000]).message().at(-1)).not.toBe(0);
  });
});
