import { describe, expect, test } from 'vitest';
import { findErrorPosition } from '../../../../src/postgres/rows/error-position.js';

const columns = ['id', 'delay', 'delay x', 'we"ird: name'];
const never = () => undefined;

function find(where: string | undefined, table = 'flights', rows = 100) {
  return findErrorPosition(where, table, columns, rows, never);
}

describe('where the server says that the fault is', () => {
  test.each([
    ['English', 'COPY flights, line 3, column delay: "abc"'],
    ['null input', 'COPY flights, line 3, column delay: null input'],
    ['German', 'COPY flights, Zeile 3, Spalte delay: „abc“'],
    ['French', 'COPY flights, ligne 3, colonne delay : « abc »'],
    ['Russian', 'COPY flights, строка 3, столбец delay: "abc"'],
    ['Chinese', 'COPY flights, 行 3, 列 delay: "abc"'],
    ['Japanese', 'flightsのCOPY、行 3, 列 delay: "abc"'],
    ['a value of several lines', 'COPY flights, line 3, column delay: "a\nb, line 9\nc"'],
    [
      'below the context of a trigger',
      'PL/pgSQL function guard() line 7 at RAISE\nSQL statement "SELECT 1"\nCOPY flights, line 3, column delay: "x"',
    ],
  ])('%s', (_name, where) => {
    expect(find(where)).toMatchObject({ row: 2, column: 'delay' });
  });

  test.each([
    ['a constraint, which has no column', 'COPY flights, line 3: "1\t2"'],
    ['without its line', 'COPY flights, line 3'],
    ['a column that is not ours', 'COPY flights, line 3, column other: "x"'],
  ])('%s', (_name, where) => {
    expect(find(where)).toMatchObject({ row: 2, column: undefined });
  });

  test('a column whose name begins the word before it', () => {
    const where = 'COPY flights, line 3, column c: "x"';
    expect(findErrorPosition(where, 'flights', ['a', 'c'], 100, never)).toMatchObject({
      row: 2,
      column: 'c',
    });
  });

  test('the longest column name that fits, whatever it holds', () => {
    expect(find('COPY flights, line 1, column delay x: "y"')?.column).toBe('delay x');
    expect(find('COPY flights, line 1, column we"ird: name: "y"')?.column).toBe('we"ird: name');
  });

  test.each([
    ['nothing', undefined],
    ['another context', 'SQL statement "INSERT INTO flights"'],
    ['another table', 'COPY flight, line 3'],
    ['a table whose name goes on', 'COPY flights2, line 3'],
    ['no number', 'COPY flights'],
    ['a line beyond the batch', 'COPY flights, line 101'],
    ['line 0', 'COPY flights, line 0'],
  ])('nothing in: %s', (_name, where) => {
    expect(find(where)).toBeUndefined();
  });

  test('names are not patterns', () => {
    expect(find('COPY a.*(b, line 3', 'a.*(b')).toMatchObject({ row: 2 });
    expect(find('COPY aXX(b, line 3', 'a.*(b')).toBeUndefined();
  });

  describe('a value that itself reads like such a line', () => {
    const trap = 'x\nCOPY flights, line 9, column delay: "y"';
    const where = `COPY flights, line 3, column delay: "${trap}"`;

    test('is told from the true one by what was sent', () => {
      const sent = (row: number) => (row === 2 ? trap : 'something else');
      expect(findErrorPosition(where, 'flights', columns, 100, sent)).toMatchObject({
        row: 2,
        column: 'delay',
      });
    });

    test('a value that reads like such a line is recognised, also where the server cut it', () => {
      const cut = `COPY flights, line 3, column delay: "${trap}..."`;
      const sent = (row: number) => (row === 2 ? `${trap} and so on` : 'something else');
      expect(findErrorPosition(cut, 'flights', columns, 100, sent)).toMatchObject({ row: 2 });
    });

    test('blames nobody where what was sent does not tell', () => {
      expect(findErrorPosition(where, 'flights', columns, 100, () => 'neither')).toBeUndefined();
    });
  });
});
