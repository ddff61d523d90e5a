/** Rules for the fields of single columns. */

import { describe, expect, it } from 'vitest';
import { FieldRuleSet, rulesFromJson } from '../../../../src/cli/csv/field-rules.js';
import { ConvertedField, RefusedField } from '../../../../src/cli/values/converted-field.js';

const RULES = {
  b: { nulls: ['NA', ''] },
  c: { nulls: ['-'], conversion: { kind: 'number', format: '1234,5', unit: '' } },
} as const;
const COMMAS = { delimiter: ',', nullText: '' };
const SEMICOLONS = { delimiter: ';', nullText: '' };

describe('rules of fields', () => {
  it('change the columns that they are about, and no others', () => {
    const rules = new FieldRuleSet(RULES, ['a', 'b', 'c'], SEMICOLONS);
    const rows = [['NA', 'NA', '-'], ['', '', '15'], ['1,5', 'x', null]]; // prettier-ignore
    for (const row of rows) rules.applyTo(row);
    expect(rows).toEqual([['NA', null, null], ['', null, '15'], ['1,5', 'x', null]]); // prettier-ignore
  });

  it('keep the text of a field beside what it becomes, also if it does not fit', () => {
    const row = ['1', '2', '1,5'];
    const other = ['1', '2', '1.5'];
    const rules = new FieldRuleSet(RULES, ['a', 'b', 'c'], SEMICOLONS);
    rules.applyTo(row);
    rules.applyTo(other);
    expect(row[2]).toEqual(new ConvertedField('1,5', '1.5'));
    expect((row[2] as unknown as ConvertedField).toPostgres()).toBe('1.5');
    expect(other[2]).toBeInstanceOf(RefusedField);
  });

  it.each<[string, boolean]>([
    ['1,2\n3,4\n', false],
    ['1,NA\n', true],
    ['NA,1\n', true],
    ['1,2\nNA,1\n', true],
    ['1,"NA"\n', true],
    ['1,""\n', true],
    ['1,DNA\n', false],
    ['1,NAP\n', false],
    ['NAP,1\n', false],
    ['1,2\nNAP,1\n', false],
    ['NA,NAP\n', true],
    ['1,NAP\n2,NA\r\n', true],
    ['1,NAP\n2,NA', true],
    ['NA', true],
    ['1,NAP\nNA', true],
    ['NA\r\n', true],
  ])('may apply to the block %j: %s', (block, expected) => {
    const nulls = ['NA', ''];
    const rules = { a: { nulls }, b: { nulls } };
    expect(new FieldRuleSet(rules, ['a', 'b'], COMMAS).mayApplyTo(Buffer.from(block))).toBe(expected);
  });

  it.each<[string, string, string]>([
    ['is longer than others', 'not available at all', 'not available at all,1\n'],
    ['is not ASCII', 'näх', 'näх,1\n'],
    ['is all of its line', 'none', 'none\nb\n'],
    ['has quotes', 'say "x"', '1,"say ""x"""\n'],
  ])('may apply to a block whose marker %s', (_title, marker, block) => {
    const rules = { a: { nulls: [marker] } };
    expect(new FieldRuleSet(rules, ['a'], COMMAS).mayApplyTo(Buffer.from(block))).toBe(true);
  });

  it('may apply to every block if an empty field is NULL, and the server has another text for it', () => {
    const block = Buffer.from('1,\n');
    const rules = { b: { nulls: [''] } };
    const texts = { delimiter: ',', nullText: 'NA' };
    expect(new FieldRuleSet(rules, ['a', 'b'], texts).mayApplyTo(block)).toBe(true);
    expect(new FieldRuleSet({}, ['a', 'b'], { ...texts, otherNulls: [''] }).mayApplyTo(block)).toBe(true);
    expect(new FieldRuleSet(rules, ['a', 'b'], COMMAS).mayApplyTo(block)).toBe(false);
  });

  it('apply to every block if texts are rewritten, and to none without rules', () => {
    const block = Buffer.from('1;2;3\n');
    expect(new FieldRuleSet(RULES, ['a', 'b', 'c'], SEMICOLONS).mayApplyTo(block)).toBe(true);
    expect(new FieldRuleSet({}, ['a', 'constructor'], SEMICOLONS).mayApplyTo(block)).toBe(false);
  });

  it('are read from JSON, whatever it is', () => {
    expect(rulesFromJson(JSON.parse(JSON.stringify(RULES)))).toEqual(RULES);
    expect(rulesFromJson({ a: null, b: { nulls: 'x' } })).toEqual({
      a: { nulls: [] },
      b: { nulls: [] },
    });
    expect(rulesFromJson('x')).toBeUndefined();
  });
});
