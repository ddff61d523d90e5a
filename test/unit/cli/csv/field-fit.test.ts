import { describe, expect, it } from 'vitest';
import { FieldFit } from '../../../../src/cli/csv/field-fit.js';

const OPTIONS = { delimiter: ',', nullText: '' };
/** Records of a short block, of one, and of one that is looked at in parts. */
const TIMES = [1, 5_000, 150_000];
const fitOf = (...types: (string | undefined)[]): FieldFit => new FieldFit(types, OPTIONS);

describe('a field', () => {
  it.each([
    ['bigint', ['0', '-5', '12', '99999999999999999999'], ['007', '-0', '+1', '1.0', '1e5', 'x', '٣']],
    ['numeric', ['0', '1.50', '-0.5', '.5', '5.', '-.5'], ['-0', '00.5', '1e5', 'NaN', '.', '-']],
    ['boolean', ['true', 'FALSE', 'True'], ['t', 'yes', '1', 'truee']],
    ['date', ['2024-01-05'], ['2024-01-05 10:00', '20240105', '1/5/2024', 'today']],
    [
      'timestamp',
      ['2024-01-05', '2024-01-05 10:30', '2024-01-05T23:59:59.5'],
      ['2024-01-05T10:00Z', '2024-01-05 24:00'],
    ],
    ['timestamptz', ['2024-01-05T10:00Z', '2024-01-05 10:00:00+02'], ['2024-01-05 10:00']],
    ['uuid', ['0a1b2c3d-0000-4000-8000-00000000000f'], ['0A1B2C3D-0000-4000-8000-00000000000F']],
  ])('of type %s fits by its form, alone and in a block', (type, fitting, others) => {
    for (const field of fitting) {
      expect([field, fitOf(type).misfit([field])]).toEqual([field, -1]);
      const fit = fitOf(undefined, type);
      // A form that is stored as another one is for the rows to find first.
      fit.misfit(['', field]);
      for (const times of TIMES) {
        const block = Buffer.from(`é x,${field}\n,${field}\r\n`.repeat(times));
        expect([field, fit.fits(block, false)]).toEqual([field, true]);
        expect(
          fit.fits(Buffer.from(`"a,\n""b","${field}"\nx,${field}\n`.repeat(Math.min(times, 5_000))), true),
        ).toBe(true);
        expect(fit.fits(block.subarray(0, -2), false)).toBe(true);
      }
    }
    for (const field of others) {
      expect([field, fitOf(type).misfit([field])]).toEqual([field, 0]);
      for (const times of TIMES) {
        const before = `x,${fitting[0]!}\n`.repeat(times);
        const block = Buffer.from(`${before}y,${field}\nz,${fitting[0]!}\n`);
        expect([field, fitOf(undefined, type).fits(block, false)]).toEqual([field, false]);
        expect(fitOf(undefined, type).fits(Buffer.from(`${before}"x","${field}"\n`), true)).toBe(false);
      }
    }
  });

  it('of any type may be NULL, but not an empty text in quotes', () => {
    const fit = fitOf('bigint', 'date');
    expect(fit.misfit([null, null])).toBe(-1);
    expect(fit.misfit([null, ''])).toBe(1);
    expect(fit.fits(Buffer.from(',\n1,\n,2024-01-05'), false)).toBe(true);
    expect(fit.fits(Buffer.from('1,""\n'), true)).toBe(false);
  });

  it('is NULL from the moment on that says so', () => {
    const fit = fitOf('bigint');
    expect(fit.misfit(['NA'])).toBe(0);
    fit.addNull(0, 'NA');
    const values = ['NA'];
    expect(fit.misfit(values)).toBe(-1);
    expect(values).toEqual([null]);
    expect(fit.isAsWritten(0)).toBe(false);
  });
});

it('many columns are looked at without a pattern for all of them, which would take seconds', () => {
  const fit = fitOf(...Array.from({ length: 1600 }, () => 'timestamp'));
  const record = Array.from({ length: 1600 }, () => '2024-01-05 10:00').join(',');
  const start = performance.now();
  expect(fit.fits(Buffer.from(`${record}\n`.repeat(16)), false)).toBe(true);
  expect(fit.fits(Buffer.from(`${record}\n${record}x\n`), false)).toBe(false);
  expect(performance.now() - start).toBeLessThan(2_000);
});

describe('a column', () => {
  it.each([
    ['numeric', ['1.50', '2'], '.5'],
    ['boolean', ['true'], 'TRUE'],
  ])('of type %s is stored as it is written until a field is not', (type, plain, other) => {
    const fit = fitOf(type);
    for (const field of plain) fit.misfit([field]);
    expect(fit.isAsWritten(0)).toBe(true);
    expect(fit.fits(Buffer.from(`${other}\n`), false)).toBe(false);
    expect(fit.misfit([other])).toBe(-1);
    expect(fit.isAsWritten(0)).toBe(false);
    expect(fit.fits(Buffer.from(`${other}\n`), false)).toBe(true);
  });

  it('keeps what is known of its fields when its type becomes wider', () => {
    const fit = fitOf('bigint');
    fit.setType(0, 'numeric');
    expect(fit.isAsWritten(0)).toBe(true);
    fit.misfit(['.5']);
    fit.setType(0, 'text');
    expect(fit.isAsWritten(0)).toBe(false);
    expect(fit.misfit(['anything'])).toBe(-1);
  });

  it('of times is never taken to be stored as it is written', () => {
    expect(fitOf('timestamp').isAsWritten(0)).toBe(false);
  });
});
