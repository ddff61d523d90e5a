/** Names in snake_case: the rule, letter by letter, and names that become the same. */

import { describe, expect, it } from 'vitest';
import { snakeCase, snakeCaseNames } from '../../../../src/cli/common/snake-case.js';

const NAMES: [string, string][] = [
  ['id', 'id'],
  ['ID', 'id'],
  ['Unit Price (EUR)', 'unit_price_eur'],
  ['  Unit--Price  ', 'unit_price'],
  ['UnitPrice', 'unit_price'],
  ['customerID', 'customer_id'],
  ['userIDs', 'user_ids'],
  ['IDs', 'ids'],
  ['HTTPServer', 'http_server'],
  ['H2O', 'h2o'],
  ['q1Sales', 'q1_sales'],
  ['Q1 2024', 'q1_2024'],
  ['2020', '_2020'],
  ['2020 sales', '_2020_sales'],
  ['_private', 'private'],
  ['a__b', 'a_b'],
  ["Don't", 'dont'],
  ['Größe', 'grosse'],
  ['GRÖSSE', 'grosse'],
  ['Straße', 'strasse'],
  ['Año', 'ano'],
  ['An\u0303o', 'ano'],
  ['Łódź', 'lodz'],
  ['Œuvre', 'oeuvre'],
  ['İl', 'il'],
  ['Цена ЗаЕдиницу', 'цена_за_единицу'],
  ['Йод', 'йод'],
  ['価格', '価格'],
  ['ｉｄ', 'id'],
  ['हिन्दी', 'हिन्दी'],
  ['ﬁeld', 'field'],
  ['%', 'column'],
  ['', 'column'],
  ['order', 'order'],
  ['a\nb', 'a_b'],
  ['a"; DROP TABLE x', 'a_drop_table_x'],
];

describe('a name in snake_case', () => {
  it.each(NAMES)('%j is %j', (name, expected) => {
    expect(snakeCase(name)).toBe(expected);
  });

  it.each(NAMES)('stays as it is when it is made so again: %j', (name) => {
    const once = snakeCase(name);
    expect(snakeCase(once)).toBe(once);
  });
});

describe('names that become the same', () => {
  it.each<[string[], string[]]>([
    [
      ['id', 'name'],
      ['id', 'name'],
    ],
    [
      ['ID', 'id'],
      ['id_2', 'id'],
    ],
    [
      ['id', 'ID'],
      ['id', 'id_2'],
    ],
    [
      ['Id', 'ID', 'iD'],
      ['id_2', 'id', 'i_d'],
    ],
    [
      ['ID', 'id', 'id_2'],
      ['id_3', 'id', 'id_2'],
    ],
    [
      ['%', '#'],
      ['column_2', 'column'],
    ],
  ])('%j are numbered, whatever their order is: %j', (names, expected) => {
    expect(snakeCaseNames(names)).toEqual(expected);
    expect(snakeCaseNames(names.toReversed())).toEqual(expected.toReversed());
  });
});
