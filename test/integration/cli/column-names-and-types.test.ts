/** `--type` and `--normalize-names`: the tables that are made, tables that exist, and the names that flags use. */

import { describe, expect, it } from 'vitest';
import { useLoads } from '../../support/cli.js';
import { readTable, useTestDatabase, type StoredTable } from '../../support/postgres.js';

const database = useTestDatabase();
const { file, load } = useLoads(database);
let number = 0;

/** Makes a table of its own. */
async function create(content: string | Buffer, extension: string, ...flags: string[]): Promise<StoredTable> {
  const table = `names_${++number}`;
  const name = await file(`x.${extension}`, content);
  const { code, stderr } = await load([name, '-q', '--create', '-t', table, ...flags]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return readTable(database, table);
}

async function refusal(content: string, extension: string, ...flags: string[]): Promise<string> {
  const name = await file(`x.${extension}`, content);
  const { code, stderr } = await load([name, '-q', '-t', `names_${++number}`, ...flags]);
  expect(code).toBe(1);
  return stderr;
}

describe('--type', () => {
  it('overrides what is inferred, with modifiers, arrays and types of any schema', async () => {
    await database.query('CREATE SCHEMA "My"; CREATE TYPE "My".mood AS ENUM (\'ok\', \'bad\')');
    const flags = [
      'n=numeric(10,2)',
      't=timestamp(0) with time zone',
      'a=int[]',
      'm="My".mood',
      'c=varchar(5)',
      'z=text',
    ];
    const { columns, rows } = await create(
      'n,t,a,m,c,z\n1.005,2024-01-02 00:00:00.7Z,"{1,2}",ok,x,7\n',
      'csv',
      ...flags.flatMap((flag) => ['--type', flag]),
    ); // prettier-ignore
    expect(columns).toEqual({
      n: 'numeric(10,2)',
      t: 'timestamp(0) with time zone',
      a: 'integer[]',
      m: '"My".mood',
      c: 'character varying(5)',
      z: 'text',
    });
    expect(rows).toEqual([['1.01', expect.stringMatching(/^2024-01-02 00:00:01/), '{1,2}', 'ok', 'x', '7']]);
  });

  it('makes markers NULL in columns of numbers, dates and booleans, wherever they come, and nowhere else', async () => {
    const rest = Array.from({ length: 10_000 }, () => '5,2024-01-02,true,x').join('\n');
    const text = `n,d,b,t\n${rest}\nNA,-,?,NA\n"",N/A,null,""\n`;
    const { columns, rows } = await create(text, 'csv', '--type', 'n=smallint', '--type', 't=text', '--type', 'd=date', '--type', 'b=bool'); // prettier-ignore
    expect(columns).toEqual({ n: 'smallint', d: 'date', b: 'boolean', t: 'text' });
    expect(rows.slice(-2)).toEqual([[null, null, null, 'NA'], [null, null, null, '']]); // prettier-ignore
  });

  it('makes a column text whose values look like numbers, and keeps them as they are', async () => {
    const { columns, rows } = await create('v;w\n1,50;2\nNA;3\n', 'csv', '--type', 'v=text');
    expect(columns).toEqual({ v: 'text', w: 'bigint' });
    expect(rows).toEqual([['1,50', '2'], ['NA', '3']]); // prettier-ignore
  });

  it('is never widened, also if the load starts over for another column, or is resumed', async () => {
    const rest = Array.from({ length: 10_000 }, (_, index) => `${index},${index},NA`).join('\n');
    const text = `n,m,d\n${rest}\n1,x,-\n2,3,2024-01-02\n`;
    const types = ['--type', 'n=integer', '--type', 'd=date'];
    const { columns, rows } = await create(text, 'csv', ...types);
    expect(columns).toEqual({ n: 'integer', m: 'text', d: 'date' });
    expect(rows.slice(-2)).toEqual([['1', 'x', null], ['2', '3', '2024-01-02']]); // prettier-ignore
    const name = await file('x.csv', `${text}1.5,3,NA\n`);
    const args = [name, '-q', '-t', 'never_widened', '--create', '--import', 'never', ...types];
    for (let run = 0; run < 2; run += 1) {
      const refused = await load(args);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(
        /x\.csv:10004: column "n": invalid input syntax for type integer: "1\.5"/,
      );
    }
  });

  it('is for NDJSON and JSON, too', async () => {
    const types = ['--type', 'a=numeric(5,1)', '--type', 'b=jsonb', '--type', 'c=text[]'];
    const json = '{"a":1.25,"b":"x","c":["p","q"]}\n';
    for (const [extension, text] of [['ndjson', json], ['json', `[${json}]`]] as const) {
      const { columns, rows } = await create(text, extension, ...types);
      expect(columns).toEqual({ a: 'numeric(5,1)', b: 'jsonb', c: 'text[]' });
      expect(rows).toEqual([['1.3', '"x"', '{p,q}']]);
    } // prettier-ignore
  });

  it('of a column that is not there is refused, naming a similar one; nothing is made', async () => {
    const text = await refusal('id,score\n1,2\n', 'csv', '--create', '--type', 'scor=int');
    expect(text).toMatch(/--type: "scor" is not among the columns .*\(did you mean "score"\?\): id, score/);
    expect(await database.query(`SELECT to_regclass('names_${number}') AS t`)).toEqual([{ t: null }]);
  });

  it.each<[string, RegExp]>([
    ['v=nosuch', /--type: the server knows no type "nosuch" \(column "v"\)/],
    ['v=nosuch.int4', /--type: the server knows no type "nosuch\.int4"/],
    ['v=datetime', /PostgreSQL calls it timestamp/],
    ['v=numeric(2000)', /precision 2000 must be between/],
    ['v=text(3)', /type modifier is not allowed for type/],
    ['v=record', /pseudo-type/],
  ])('that the server does not take is refused: %s', async (flag, message) => {
    const text = await refusal('v\n1\n', 'csv', '--create', '--type', flag);
    expect(text).toMatch(message);
    expect(text).not.toContain('CREATE TABLE');
    expect(await database.query(`SELECT to_regclass('names_${number}') AS t`)).toEqual([{ t: null }]);
  });

  it('of a table that is there must be its own', async () => {
    await database.query('CREATE TABLE there (v numeric(8,3), w text)');
    const name = await file('x.csv', 'v,w\n1,a\n');
    const args = [name, '-q', '-t', 'there', '--create', '--type'];
    expect(await load([...args, 'v=numeric'])).toMatchObject({ code: 0 });
    const refused = await load([...args, 'v=bigint']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/its column "v" is numeric\(8,3\), not bigint/);
  });

  it('is one of the flags that --import compares', async () => {
    const name = await file('x.csv', 'v\n1\n');
    const args = [name, '-q', '-t', 'types_resumed', '--create', '--import', 'types', '--type'];
    expect(await load([...args, 'v=integer'])).toMatchObject({ code: 0 });
    expect(await load([...args, 'v=int'])).toMatchObject({ code: 0 });
    const refused = await load([...args, 'v=int8']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/column "v" is integer, not bigint|--type was "integer" and is "int8"/);
    await database.query('ALTER TABLE types_resumed ALTER v TYPE bigint');
    expect((await load([...args, 'v=int8'])).stderr).toMatch(/--type was "integer" and is "int8"/);
    expect((await load(args.slice(0, -1))).stderr).toMatch(/--type was \{"v":"integer"\} and is not given/);
  });

  it('is shown by --dry-run, which asks no server', async () => {
    const name = await file('x.csv', 'v,w\n1,NA\n');
    const flags = ['--type', 'v="My".type(3)', '--type', 'w=int[]'];
    const { stdout, code } = await load([name, '--create', '-t', 't', '--dry-run', ...flags], {
      env: { DATABASE_URL: undefined, PGHOST: '/nowhere' },
    });
    expect(code).toBe(0);
    expect(stdout).toContain('CREATE TABLE "t" (\n  "v" "My".type(3),\n  "w" integer[]\n)');
  });
});

describe('--normalize-names', () => {
  it('makes names of CSV snake_case, and numbers those that become the same', async () => {
    const text = 'Unit Price (EUR),customerID,2020,ID,id,,Größe\n1,2,3,4,5,6,7\nx,2,3,4,5,6,7\n';
    const { columns } = await create(text, 'csv', '--normalize-names');
    expect(Object.keys(columns)).toEqual(['unit_price_eur', 'customer_id', '_2020', 'id_2', 'id', 'column6', 'grosse']);
  }); // prettier-ignore

  it.each<[string, string]>([
    ['ndjson', '{"Unit Price":1.50,"customerID":"x"}\n{"customerID":"y","Unit Price":2}\n'],
    ['json', '[{"Unit Price":1.50,"customerID":"x"},\n{"customerID":"y","Unit Price":2}]'],
    ['csv', 'Unit Price,customerID\n1.50,x\n2,y\n'],
  ])('works for %s, and flags may use either name', async (extension, text) => {
    const flags = [
      '--normalize-names',
      '--type',
      'Unit Price=numeric(6,2)',
      '--type',
      'customer_id=varchar(3)',
    ];
    const { columns, rows } = await create(text, extension, ...flags);
    expect(columns).toEqual({ unit_price: 'numeric(6,2)', customer_id: 'character varying(3)' });
    expect(rows).toEqual([['1.50', 'x'], ['2.00', 'y']]); // prettier-ignore
  });

  it('works for GeoJSON', async () => {
    const feature = '{"type":"Feature","id":7,"geometry":null,"properties":{"Full Name":"x"}}';
    const text = `{"type":"FeatureCollection","features":[${feature}]}`;
    const { columns, rows } = await create(text, 'geojson', '--normalize-names');
    expect(columns).toEqual({ full_name: 'text', geometry: 'text', id: 'bigint' });
    expect(rows).toEqual([['x', null, '7']]);
  });

  it('finds the columns of a table that is there, whatever their own spelling is', async () => {
    await database.query('CREATE TABLE spelt ("UnitPrice" numeric, customer_id text UNIQUE, "x y" int)');
    const csv = await file('x.csv', 'CUSTOMER ID,unit-price\n7,1\n');
    const ndjson = await file('x.ndjson', '{"customerId":"8","UNIT_PRICE":2}\n');
    const json = await file('x.json', '[{"customerId":"8","UNIT_PRICE":3}]');
    const flags = ['-q', '-t', 'spelt', '--normalize-names', '--on-conflict', 'update', '--key'];
    for (const [name, key] of [[csv, 'CUSTOMER ID'], [ndjson, 'customer_id'], [json, 'customerId']] as const)
      expect(await load([name, ...flags, key])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await readTable(database, 'spelt')).rows).toEqual([['1', '7', null], ['3', '8', null]]);
  }); // prettier-ignore

  it('compares later files in the same way, and in any order of their names', async () => {
    const first = await file('a.csv', 'Unit Price,ID\n1,2\n');
    const second = await file('b.csv', 'id,unit_price\n3,4\n');
    expect(await load([first, second, '-q', '--create', '-t', 'several', '--normalize-names'])).toMatchObject({ code: 0 }); // prettier-ignore
    expect((await readTable(database, 'several')).rows).toEqual([['1', '2'], ['4', '3']]); // prettier-ignore
  });

  it('refuses a name that may stand for two columns', async () => {
    await database.query('CREATE TABLE twins (id int, id_2 int); CREATE TABLE spellings ("A b" int, "aB" int)');
    const id = await file('x.csv', 'ID\n1\n');
    const twin = await load([id, '-q', '-t', 'twins', '--normalize-names']);
    expect(twin.code).toBe(1);
    expect(twin.stderr).toMatch(/x\.csv:1: the name "ID" is "id" in snake_case, and may stand for the column "id" or "id_2"/);
    const ab = await file('x.csv', 'a_b\n1\n');
    expect((await load([ab, '-q', '-t', 'spellings', '--normalize-names'])).stderr).toMatch(/"A b" or "aB"/);
  }); // prettier-ignore

  it('is one of the flags that --import compares, and is said', async () => {
    const name = await file('x.csv', 'A,b\n1,2\n');
    const args = [name, '-t', 'snakes', '--create', '--import', 'snakes'];
    const { code, stderr } = await load([...args, '--normalize-names']);
    expect(code).toBe(0);
    expect(stderr).toContain('names in snake_case: "A" is "a"');
    const without = await load(args);
    expect(without.code).toBe(1);
    expect(without.stderr).toMatch(/has no column "A" \(did you mean "a"\?\)|--normalize-names was true and is not given/);
  }); // prettier-ignore

  it('leaves the names of --columns as they are, and is shown by --dry-run', async () => {
    const { columns } = await create('x,y\n1,2\n', 'csv', '--normalize-names', '--columns', 'A b,C');
    expect(columns).toEqual({ 'A b': 'bigint', C: 'bigint' });
    const name = await file('x.ndjson', '{"A b":1}\n');
    const { stdout } = await load([name, '--create', '-t', 't', '--dry-run', '--normalize-names']);
    expect(stdout).toContain('"a_b" bigint');
    expect(stdout).toMatch(/^a_b$/m);
  });
});

describe('a column that is not there', () => {
  it.each<[string, string, string[], RegExp]>([
    ['csv', 'id,socre\n1,2\n', [], /x\.csv:1: the table "wanted" has no column "socre" \(did you mean "score"\?\); it takes/],
    ['csv', 'id,score\n1,2\n', ['--null-for', 'scor=x'], /--null-for: "scor" .*did you mean "score"/],
    ['csv', 'id,score\n1,2\n', ['--on-conflict', 'ignore', '--key', 'ID'], /--key: "ID" .*did you mean "id"/],
    ['csv', '1,2\n', ['--no-header', '--columns', 'id,scores'], /--columns: the table "wanted" has no column "scores" \(did you mean "score"/],
    ['ndjson', '{"id":1,"socre":2}\n', [], /x\.ndjson:1: the table "wanted" has no column "socre" \(did you mean "score"/],
    ['ndjson', '{"id":1,"score":2}\n'.repeat(10_001) + '{"id":1,"scores":2}\n', [], /x\.ndjson:10002: the key "scores" is not among .*did you mean "score"/],
    ['json', '[{"id":1,"socre":2}]', [], /x\.json: record 1: the table "wanted" has no column "socre" \(did you mean "score"/],
  ])('%s: a similar one is named: %j %j', async (extension, text, flags, message) => {
    await database.query('CREATE TABLE IF NOT EXISTS wanted (id int, score int)');
    const name = await file(`x.${extension}`, text);
    const { code, stderr } = await load([name, '-q', '-t', 'wanted', ...flags]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  }); // prettier-ignore
});
