/** When a table's batches go in binary. */

import { describe, expect, test } from 'vitest';
import type { TableColumn } from '../../../../src/postgres/table/catalogue.js';
import { FormatChoice, planBinary } from '../../../../src/postgres/rows/copy-format.js';
import { compileEncoder } from '../../../../src/postgres/encoding/text/text-encoders.js';

const where = { schema: 'public', table: 't' };
const columns = (...types: string[]) =>
  types.map((name, index) => {
    const column: TableColumn = {
      name: `c"${index}`,
      typeName: name,
      type: { kind: 'scalar', name, category: '' },
      typeOid: String(100 + index),
      isGenerated: false,
    };
    return { ...column, encoder: compileEncoder(column.type) };
  });
const isFaster = (...types: string[]) => planBinary(where, columns(...types), 'auto')?.isFaster.values;
const isFasterByLine = (...types: string[]) => planBinary(where, columns(...types), 'auto')?.isFaster.lines;

describe('by the types of the columns', () => {
  test('binary where it saves more than it costs', () => {
    expect(isFaster('timestamptz', 'int4', 'int4', 'text', 'text')).toBe(true);
    expect(isFaster('float8')).toBe(true);
    expect(isFaster('text', 'text')).toBe(false);
    expect(isFaster('int4', 'numeric')).toBe(false);
  });

  test('lines go in binary if there are enough dates among the columns', () => {
    expect(isFasterByLine('timestamptz', 'int4', 'int4', 'text', 'text')).toBe(true);
    expect(isFasterByLine('int4', 'date', 'text')).toBe(true);
    expect(isFasterByLine('int4')).toBe(false);
    expect(isFasterByLine('date', 'text', 'text', 'text', 'text')).toBe(false);
    expect(isFasterByLine('timestamptz', 'timestamptz', 'float4')).toBe(false);
  });

  test('text where a type has no binary encoder; an error where binary is asked for', () => {
    expect(planBinary(where, columns('timestamptz', 'interval'), 'auto')).toBeUndefined();
    expect(() => planBinary(where, columns('timestamptz', 'interval'), 'binary')).toThrow(
      /"c\\"1" \(interval\)/,
    );
    expect(planBinary(where, columns('timestamptz'), 'text')).toBeUndefined();
  });

  test('the check names each column with its type, and quotes names', () => {
    const { check } = planBinary(where, columns('int4', 'text'), 'binary')!;
    expect(check).toContain('"c""0"');
    expect(check).toContain("'{100,101}'");
    expect(check).toContain('NULL::"public"."t"');
  });
});

describe('after batches that could not be sent in binary', () => {
  const fast = planBinary(where, columns('float8'), 'auto');
  const asText = (choice: FormatChoice) => {
    let count = 0;
    while (!choice.isBinary(fast, 'values')) count += 1;
    return count;
  };

  test("'auto': twice as many as text each time, until one is inserted", () => {
    const choice = new FormatChoice('auto');
    expect(asText(choice)).toBe(0);
    choice.failed();
    // Those that were under way with it say it again.
    choice.failed();
    expect(asText(choice)).toBe(8);
    choice.failed();
    expect(asText(choice)).toBe(16);
    choice.succeeded();
    choice.failed();
    expect(asText(choice)).toBe(8);
    for (let time = 0; time < 20; time += 1) {
      choice.failed();
      expect(asText(choice)).toBeLessThanOrEqual(4096);
    }
  });

  test("'binary': each is tried", () => {
    const choice = new FormatChoice('binary');
    choice.failed();
    expect(choice.isBinary(planBinary(where, columns('text'), 'binary'), 'values')).toBe(true);
    expect(choice.isBinary(undefined, 'values')).toBe(false);
  });
});
