/** Inputs that are made to take memory and time, each as a process with the heap that it has by default, against a real PostgreSQL. */

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();

const MIB = 1024 * 1024;
const MOST_MEMORY = 200 * MIB;
/** Of the time in which a plain input of 4 MiB is loaded. What grew with a square took hundreds of times as long. */
const MOST_TIMES = 40;

interface Outcome {
  readonly code: number;
  readonly error: string | null;
  readonly rows: number;
  readonly rejects: number;
  readonly peakMemoryBytes: number;
  readonly cpuSeconds: number;
}

let usageScript = '';
let plainSeconds = 0;

beforeAll(async () => {
  usageScript = path.join(cli.directory, 'usage.cjs');
  await writeFile(
    usageScript,
    `process.on('exit', () => {
      const { user, system } = process.cpuUsage();
      const { existsSync, readFileSync, writeFileSync } = require('node:fs');
      // Of this process alone: what the system tells otherwise begins with that of the process that started it.
      const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
      const kibibytes = /VmHWM:\\s+(\\d+)/.exec(status)?.[1] ?? process.resourceUsage().maxRSS;
      const usage = { cpuSeconds: (user + system) / 1e6, peakMemoryBytes: 1024 * kibibytes };
      writeFileSync(process.env.USAGE_FILE, JSON.stringify(usage));
    });`,
  );
  const rows = Array.from({ length: 200_000 }, (_, n) => `${n},text of row ${n}\n`);
  const plain = await outcomeOf('plain.csv', `a,b\n${rows.join('')}`);
  expect(plain).toMatchObject({ code: 0, rows: 200_000 });
  plainSeconds = plain.cpuSeconds;
});

let runs = 0;

async function outcomeOf(name: string, content: string | Buffer, ...flags: string[]): Promise<Outcome> {
  runs += 1;
  const input = `${runs}-${name}`;
  await writeFile(path.join(cli.directory, input), content);
  const usageFile = path.join(cli.directory, `${runs}.usage`);
  const table = flags.includes('--create') ? `made_${runs}` : await database.table('a numeric, b text');
  const result = await cli.run(['load', '-q', '--json', '-t', table, ...flags, input], {
    env: {
      DATABASE_URL: database.url,
      NODE_OPTIONS: `--require ${usageScript}`,
      USAGE_FILE: usageFile,
    },
    longestRunMs: 55_000,
  });
  const json = JSON.parse(result.stdout) as Omit<Outcome, 'code' | 'cpuSeconds' | 'peakMemoryBytes'>;
  const usage = JSON.parse(await readFile(usageFile, 'utf8')) as Pick<
    Outcome,
    'cpuSeconds' | 'peakMemoryBytes'
  >;
  // Whatever is quoted of a value in an error is cut.
  expect(result.stderr.length).toBeLessThan(4000);
  return { ...json, ...usage, code: result.code! };
}

const REJECTS = ['--rejects', 'hostile.rejects'];
const zipped = (...parts: (string | Buffer)[]) =>
  gzipSync(Buffer.concat(parts.map((part) => Buffer.from(part))));

interface Case {
  readonly what: string;
  readonly name: string;
  readonly content: () => string | Buffer;
  readonly flags?: readonly string[];
  /** Default: `MOST_MEMORY`. */
  readonly mostMemory?: number;
  readonly expected: Partial<Outcome> & { readonly error?: string | null };
}

const matching = (pattern: RegExp): string => expect.stringMatching(pattern) as string;

const CASES: readonly Case[] = [
  {
    what: 'one endless line of CSV in a small gzip file',
    name: 'x.csv.gz',
    content: () => zipped('a,b\n1,x\n', Buffer.alloc(100 * MIB, 'x')),
    expected: {
      code: 1,
      rows: 1,
      error: matching(/x\.csv\.gz:3: the record is longer than --max-record-bytes/),
    },
  },
  {
    what: 'the same with rejects, of which the table is to be made',
    name: 'x.csv.gz',
    content: () => zipped('a,b\n', Buffer.alloc(100 * MIB, 'x')),
    flags: ['--create', ...REJECTS],
    expected: {
      code: 1,
      error: matching(/x\.csv\.gz:2: no record can be read in the 2\d\.\d MiB up to here/),
    },
  },
  {
    what: 'one endless line of NDJSON with rejects',
    name: 'x.ndjson.gz',
    content: () => zipped(Buffer.alloc(100 * MIB, 'x')),
    flags: REJECTS,
    expected: { code: 1, error: matching(/x\.ndjson\.gz:1: no record can be read/) },
  },
  {
    what: 'short rows with too many fields',
    name: 'x.csv',
    content: () => `a,b\n${'1,2,3\n'.repeat(120_000)}`,
    flags: REJECTS,
    expected: { code: 3, rejects: 120_000 },
  },
  {
    what: 'short rows that the table refuses',
    name: 'x.csv',
    content: () => `a,b\n${'x,y\n'.repeat(60_000)}`,
    flags: REJECTS,
    // Live are about 40 MiB at the most: the rest is garbage, and grows with what three batches leave.
    mostMemory: 145 * MIB,
    expected: { code: 3, rejects: 60_000 },
  },
  {
    what: 'short lines that are no JSON',
    name: 'x.ndjson',
    content: () => `{"a":1}\n${'x\n'.repeat(100_000)}`,
    flags: REJECTS,
    expected: { code: 3, rows: 1, rejects: 100_000 },
  },
  {
    what: 'blank lines of NDJSON',
    name: 'x.ndjson',
    content: () => `${'\n'.repeat(5 * MIB)}${' \r\n'.repeat(MIB)}{"a":1}\n`,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'a header of many names',
    name: 'x.csv',
    content: () => `${Array.from({ length: 90_000 }, (_, n) => `c${n}`).join(',')}\n1\n`,
    flags: ['--create'],
    expected: {
      code: 1,
      error: matching(/x\.csv:1: the header has 90,000 fields, .* at most 1,600 columns/),
    },
  },
  {
    what: 'a record of nothing but delimiters',
    name: 'x.csv',
    content: () => `a,b\n${','.repeat(15 * MIB)}\n"",${','.repeat(4 * MIB)}\n1,x\n`,
    flags: REJECTS,
    expected: { code: 3, rows: 1, rejects: 2 },
  },
  {
    what: 'a field of doubled quotes',
    name: 'x.csv',
    content: () => `a,b\n,"${'""'.repeat(5 * MIB)}"\n`,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'carriage returns within quotes',
    name: 'x.csv',
    content: () => `a,b\n1,"${'\r'.repeat(4 * MIB)}"\n1,"${'""\r'.repeat(MIB)}"\n`,
    expected: { code: 0, rows: 2 },
  },
  {
    what: 'a carriage return after many lines without',
    name: 'x.csv',
    content: () => `a,b\n${`${',\n'.repeat(100_000)},x\r\n`.repeat(5)}`,
    expected: { code: 0, rows: 500_005 },
  },
  {
    what: 'a number of many digits whose type is inferred',
    name: 'x.csv',
    content: () => `a,b\n${'9'.repeat(8 * MIB)},x\n`,
    flags: ['--create'],
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'a number of many digits in NDJSON',
    name: 'x.ndjson',
    content: () => `{"a":${'9'.repeat(6 * MIB)}}\n`,
    expected: { code: 1, error: matching(/x\.ndjson:1: column "a": value overflows numeric format/) },
  },
  {
    what: 'many digits in a text of NDJSON',
    name: 'x.ndjson',
    content: () => `{"a":"${'9'.repeat(15 * MIB)}"}\n`,
    expected: { code: 1, error: matching(/x\.ndjson:1: column "a": value overflows numeric format/) },
  },
  {
    // The key is escaped, so that the record is parsed.
    what: 'a number as it is written beside a long text',
    name: 'x.ndjson',
    content: () => `{"\\u0061":1.10,"b":"${'x'.repeat(15 * MIB)}"}\n`,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'deep nesting',
    name: 'x.ndjson',
    content: () => `{"b":${'['.repeat(7 * MIB)}${']'.repeat(7 * MIB)}}\n`,
    expected: { code: 1, error: matching(/x\.ndjson:1: the record is nested too deeply/) },
  },
  {
    what: 'millions of empty arrays',
    name: 'x.ndjson',
    content: () => `{"a":1}\n{"b":[${'[],'.repeat(5 * MIB)}[]]}\n{"a":2}\n`,
    flags: REJECTS,
    expected: { code: 3, rows: 2, rejects: 1 },
  },
  {
    what: 'millions of keys',
    name: 'x.ndjson',
    content: () => `{${Array.from({ length: 1_000_000 }, (_, n) => `"k${n}":1`).join(',')}}\n`,
    expected: { code: 1, error: matching(/x\.ndjson:1: the record has more than 1,048,576 values and keys/) },
  },
  {
    what: 'more keys than a table has columns',
    name: 'x.ndjson',
    content: () => `{${Array.from({ length: 2000 }, (_, n) => `"k${n}":1`).join(',')}}\n`,
    flags: ['--create'],
    expected: {
      code: 1,
      error: matching(/x\.ndjson:1: the records up to here have more keys than .*1,600/),
    },
  },
  {
    what: 'a quote that is never closed',
    name: 'x.csv',
    content: () => `a,b\n1,"${'x\n'.repeat(10 * MIB)}`,
    expected: { code: 1, error: matching(/x\.csv:2: the record is longer than .*is a quote left open/) },
  },
  {
    what: 'U+0000 in a long field',
    name: 'x.csv',
    content: () => `a,b\n1,${'\0'.repeat(4 * MIB)}\n`,
    flags: REJECTS,
    expected: { code: 3, rows: 0, rejects: 1 },
  },
];

describe('an input that is made to take memory and time', () => {
  it.each(CASES)(
    'is loaded or refused by its line: $what',
    async ({ name, content, flags = [], mostMemory = MOST_MEMORY, expected }) => {
      const outcome = await outcomeOf(name, content(), ...flags);
      expect(outcome).toMatchObject(expected);
      expect(outcome.peakMemoryBytes).toBeLessThan(mostMemory);
      expect(outcome.cpuSeconds).toBeLessThan(MOST_TIMES * plainSeconds);
    },
  );
});
