/** Types as `--type` names them: what is taken, in which spelling, and what is refused. */

import { describe, expect, it } from 'vitest';
import { parseTypeName } from '../../../../src/cli/args/type-name.js';

describe('a type in words of SQL', () => {
  it.each<[string, string]>([
    ['int', 'integer'],
    ['INTEGER', 'integer'],
    ['bigint', 'bigint'],
    ['decimal', 'numeric'],
    ['numeric(10,2)', 'numeric(10,2)'],
    ['NUMERIC ( 10 , -2 )', 'numeric(10,-2)'],
    ['float', 'double precision'],
    ['float(24)', 'real'],
    ['float(25)', 'double precision'],
    ['double  precision', 'double precision'],
    ['varchar(20)', 'character varying(20)'],
    ['national character varying(5)', 'character varying(5)'],
    ['char', 'character(1)'],
    ['character(3)', 'character(3)'],
    ['bit', 'bit(1)'],
    ['bit varying ( 8 )', 'bit varying(8)'],
    ['timestamp', 'timestamp without time zone'],
    ['timestamp with time zone', 'timestamp with time zone'],
    ['TIMESTAMP (3) WITH TIME ZONE', 'timestamp(3) with time zone'],
    ['time(0)', 'time(0) without time zone'],
    ['interval', 'interval'],
    ['interval year to month', 'interval year to month'],
    ['interval day to second(3)', 'interval day to second(3)'],
    ['boolean', 'boolean'],
    ['int[]', 'integer[]'],
    ['int [ 3 ] [4]', 'integer[3][4]'],
    ['integer array', 'integer[]'],
    ['integer ARRAY[4]', 'integer[4]'],
    ['timestamp with time zone[]', 'timestamp with time zone[]'],
  ])('%s is %s', (given, text) => {
    expect(parseTypeName(given)).toMatchObject({ text, lookup: undefined, suffix: '' });
  });
});

describe('a type that the server looks up', () => {
  it.each<[string, string, string, string]>([
    ['text', 'text', '"text"', ''],
    ['Text[]', 'text[]', '"text"', '[]'],
    ['timestamptz', 'timestamptz', '"timestamptz"', ''],
    ['"char"', '"char"', '"char"', ''],
    ["kind( 'a , b' )", "kind('a , b')", '"kind"', "('a , b')"],
    ['"My".type', '"My".type', '"My"."type"', ''],
    ['"a""b; DROP TABLE x; --"', '"a""b; DROP TABLE x; --"', '"a""b; DROP TABLE x; --"', ''],
    [
      'public . geometry( Point , 4326 )',
      'public.geometry(Point,4326)',
      '"public"."geometry"',
      '(Point,4326)',
    ],
    ["my.kind('a', -1)[]", "my.kind('a',-1)[]", '"my"."kind"', "('a',-1)[]"],
    ['größe', 'größe', '"größe"', ''],
  ])('%s is %s', (given, text, lookup, suffix) => {
    expect(parseTypeName(given)).toMatchObject({ text, lookup, suffix });
  });
});

describe('anything else is refused', () => {
  it.each([
    '',
    ' ',
    'int; DROP TABLE t',
    'int, x int',
    'int)',
    'int NOT NULL',
    'int DEFAULT 1',
    'text COLLATE "C"',
    'numeric(10,2',
    'numeric((10))',
    'numeric(1+1)',
    'numeric(pg_sleep(1))',
    "kind('a''b')",
    "kind('a\\')",
    'array',
    'a.b.c',
    '"open',
    '""',
    '"a\0b"',
    'setof int',
    'int /* */',
    'int -- x',
    'x'.repeat(400),
    'text[-1]',
    'text[][x]',
    'float(0)',
    'float(54)',
    'int(4)',
    'timestamp(20)',
  ])('%j', (given) => {
    expect(parseTypeName(given)).toBeUndefined();
  });
});

describe('what is known of the values', () => {
  it.each<[string, string]>([
    ['int', 'number'],
    ['float8', 'number'],
    ['pg_catalog.int4', 'number'],
    ['numeric(10,2)', 'number'],
    ['date', 'date'],
    ['timestamptz', 'date'],
    ['timestamp with time zone', 'date'],
    ['bool', 'boolean'],
    ['boolean', 'boolean'],
    ['text', 'other'],
    ['uuid', 'other'],
    ['int[]', 'other'],
    ['my.int4', 'other'],
    ['daterange', 'other'],
    ['int4range', 'other'],
  ])('of %s: %s', (given, kind) => {
    expect(parseTypeName(given)?.kind).toBe(kind);
  });
});
