/** Statements of ours: where they are made, and what the check of their words finds. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { importStatements } from '../../../../src/postgres/imports/import-statements.js';
import { lockAndInspectTables } from '../../../../src/postgres/imports/bookkeeping-facts.js';
import { qualifiedType } from '../../../../src/postgres/sql/table-statements.js';
import * as tableStatements from '../../../../src/postgres/sql/table-statements.js';
import { searchPathFaults } from '../../../support/search-path-faults.js';

const SRC = path.join(import.meta.dirname, '../../../../src');

const sources = (folder: string): string[] =>
  readdirSync(path.join(SRC, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join(folder, name));

test('no module sends SQL past runStatement, but for COPY and the user’s own query', () => {
  const senders = [...sources('postgres'), ...sources('cli')].filter((name) => {
    const text = readFileSync(path.join(SRC, name), 'utf8').replaceAll(/\/\*.*?\*\/|\/\/[^\n]*/gs, '');
    return /\b(?:client|pool|connection)\b\)?\.query\b|as Statement\b/.test(
      text.replaceAll('query: client.query.bind(client)', ''),
    );
  });
  expect(senders.sort()).toEqual([
    'cli/query/query.ts',
    'postgres/copy/copy-input.ts',
    'postgres/copy/copy-slices.ts',
    'postgres/protocol/own-query.ts',
    'postgres/sql/statement.ts',
  ]);
});

test.each([
  ['SELECT 1 = 2', 'operator ='],
  ['SELECT a ->> 1 FROM pg_catalog.pg_class', 'operator ->>'],
  ['SELECT count(*) FROM pg_catalog.pg_class', 'function count('],
  ['SELECT now()', 'function now('],
  ['SELECT pg_catalog.now()::text', 'type text'],
  ['SELECT a::regclass::pg_catalog.text FROM pg_catalog.pg_class', 'type regclass'],
  ['SELECT nullif(a, b) FROM pg_catalog.pg_class', 'NULLIF'],
  ['SELECT a IS NOT DISTINCT FROM b FROM pg_catalog.pg_class', 'IS DISTINCT FROM'],
  ['SELECT a IN (b) FROM pg_catalog.pg_class', 'IN'],
  ['SELECT pg_catalog.now() BETWEEN a AND b', 'BETWEEN'],
  ['SELECT CASE a WHEN b THEN c END', 'CASE x WHEN'],
  ['SELECT FROM pg_catalog.a JOIN pg_catalog.b USING (c)', 'JOIN … USING'],
  ['SELECT FROM pg_catalog.a NATURAL JOIN pg_catalog.b', 'NATURAL JOIN'],
  ["SELECT a LIKE 'b' FROM pg_catalog.c", 'LIKE'],
  ['SELECT oid FROM pg_class', 'table pg_class'],
  ['TRUNCATE events; LOCK TABLE events', 'table events'],
])('%s: depends on the search path', (sql, fault) => {
  expect(searchPathFaults(sql).some((found) => found.startsWith(fault))).toBe(true);
});

test.each([
  'BEGIN',
  'SELECT a OPERATOR(pg_catalog.=) $1 FROM "s"."t" WHERE b IS NULL ORDER BY "c = d"',
  "SELECT CASE\n WHEN pg_catalog.count(*) OPERATOR(pg_catalog.>) 0 THEN 'a = now()' END::pg_catalog.text FROM pg_catalog.pg_class",
  'INSERT INTO "s"."t" ("a", "b") SELECT "a", "b" FROM pg_temp."x" ON CONFLICT ("a") DO UPDATE SET "b" = EXCLUDED."b", "c" = EXCLUDED."c"',
])('%s: does not', (sql) => {
  expect(searchPathFaults(sql)).toEqual([]);
});

test('statements that are ready-made: none depends on it', () => {
  const statements = [
    ...(Object.values(tableStatements) as unknown[]).filter((value) => typeof value === 'string'),
    ...(Object.values(importStatements('s')) as (string | string[])[]).flat(),
    lockAndInspectTables('s', 't', ['a', 'b']),
    tableStatements.findOidAndUse('"s"."t"'),
    tableStatements.createTable('"s"."t"', [{ name: 'a', type: 'text' }]),
  ];
  expect(statements.length).toBeGreaterThan(15);
  expect(statements.flatMap(searchPathFaults)).toEqual([]);
});

test.each([
  ['text', 'pg_catalog.text'],
  ['"char"', 'pg_catalog."char"'],
  ['jsonb[]', 'pg_catalog.jsonb[]'],
  ['bpchar', 'pg_catalog.bpchar'],
  ['timestamptz', 'pg_catalog.timestamptz'],
  ['"bit"', 'pg_catalog."bit"'],
  ['integer', 'integer'],
  ['numeric(10,2)', 'numeric(10,2)'],
  ['character varying(3)[]', 'character varying(3)[]'],
  ['timestamp(3) without time zone', 'timestamp(3) without time zone'],
  ['interval day to second(3)', 'interval day to second(3)'],
  ['pg_catalog.text', 'pg_catalog.text'],
  ['own."Type"(3)', 'own."Type"(3)'],
])('the type %s is written %s', (type, expected) => {
  expect(qualifiedType(type)).toBe(expected);
});
