/** Inputs that are made to take memory and time, each as a process with the heap that it has by default, against a real PostgreSQL. */

import { readFile, writeFile } from 'node:fs/promises';
import { MIB } from '../../../src/common/bytes.js';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();

const MOST_MEMORY = 200_000_000;
/** Characters of a text in a record of nearly `--max-record-bytes`. */
const LONGEST = 16_600_000;
/** Of the time in which a plain input of 4 MiB is loaded. What grew with a square took hundreds of times as long. */
const MOST_TIMES = 40;

interface Outcome {
  readonly code: number;
  readonly error: string | null;
  readonly rows: number;
  readonly rejects: number;
  readonly peakMemoryBytes: number;
  readonly cpuSeconds: number;
  readonly longestTurnMs: number;
}

type Usage = Pick<Outcome, 'cpuSeconds' | 'longestTurnMs' | 'peakMemoryBytes'>;

/**
 * Of the longest turn of the event loop with a plain input, which starts the program: for each MiB of the record, and for what has less.
 * Counted is the CPU time of the main thread between two runs of a timer. So neither a busy machine changes much, nor a slow one.
 */
const MOST_TURN_TIMES = 3;

let usageScript = '';
let plain: Usage = { cpuSeconds: 0, longestTurnMs: 0, peakMemoryBytes: 0 };

beforeAll(async () => {
  usageScript = path.join(cli.directory, 'usage.cjs');
  await writeFile(
    usageScript,
    `const { readFileSync, writeFileSync } = require('node:fs');
    const onLinux = process.platform === 'linux';
    const processMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e3; };
    const threadMs = () => onLinux ? readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0] / 1e6 : processMs();
    let longestTurnMs = 0;
    let before = threadMs();
    const look = () => {
      const now = threadMs();
      longestTurnMs = Math.max(longestTurnMs, now - before);
      before = now;
      setTimeout(look, 1).unref();
    };
    look();
    process.on('exit', () => {
      look();
      // Of this process alone: what the system tells otherwise begins with that of the process that started it.
      const status = onLinux ? readFileSync('/proc/self/status', 'utf8') : '';
      const kibibytes = /VmHWM:\\s+(\\d+)/.exec(status)?.[1] ?? process.resourceUsage().maxRSS;
      const usage = { cpuSeconds: processMs() / 1e3, longestTurnMs, peakMemoryBytes: 1024 * kibibytes };
      writeFileSync(process.env.USAGE_FILE, JSON.stringify(usage));
    });`,
  );
  const rows = Array.from({ length: 200_000 }, (_, n) => `${n},text of row ${n}\n`);
  // The first run finds no file of the program in the system's cache.
  for (const run of ['cold', 'warm']) {
    const outcome = await outcomeOf(`${run}.csv`, `a,b\n${rows.join('')}`);
    expect(outcome).toMatchObject({ code: 0, rows: 200_000 });
    plain = outcome;
  }
});

let runs = 0;

async function outcomeOf(
  name: string,
  content: string | Buffer,
  flags: readonly string[] = [],
  columns = 'a numeric, b text',
): Promise<Outcome> {
  runs += 1;
  const input = `${runs}-${name}`;
  await writeFile(path.join(cli.directory, input), content);
  const usageFile = path.join(cli.directory, `${runs}.usage`);
  const table = flags.includes('--create') ? `made_${runs}` : await database.table(columns);
  const result = await cli.run(['load', '-q', '--json', '-t', table, ...flags, input], {
    env: {
      DATABASE_URL: database.url,
      NODE_OPTIONS: `--require ${usageScript}`,
      USAGE_FILE: usageFile,
    },
    longestRunMs: 150_000,
  });
  const json = JSON.parse(result.stdout) as Omit<Outcome, 'code' | keyof Usage>;
  const usage = JSON.parse(await readFile(usageFile, 'utf8')) as Usage;
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
  /** Of the table. Default: a numeric, b text. */
  readonly columns?: string;
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
    what: 'millions of digits for an integer',
    name: 'x.ndjson',
    content: () => `{"a":${'9'.repeat(15_000_000)}}\n{"a":1}\n`,
    flags: REJECTS,
    columns: 'a int, b text',
    mostMemory: 160 * MIB,
    expected: { code: 3, rows: 1, rejects: 1 },
  },
  {
    what: 'the longest text in quotes for an integer, which the server quotes',
    name: 'x.csv',
    content: () => `a,b\n"${'x'.repeat(LONGEST)}",y\n1,z\n`,
    flags: REJECTS,
    columns: 'a int, b text',
    expected: { code: 3, rows: 1, rejects: 1 },
  },
  {
    what: 'the longest text of tabs for an integer, each of which COPY escapes',
    name: 'x.csv',
    content: () => `a,b\n"${'\t'.repeat(LONGEST)}",y\n1,z\n`,
    columns: 'a int, b text',
    expected: { code: 1, error: matching(/x\.csv:2: column "a": invalid input syntax for type integer/) },
  },
  {
    what: 'such texts of backslashes, one after another, behind short rows that are refused',
    name: 'x.csv',
    content: () => `a,b\n${'x,y\n'.repeat(3000)}${`"${'\\'.repeat(LONGEST)}",y\n`.repeat(3)}1,z\n`,
    flags: REJECTS,
    columns: 'a int, b text',
    expected: { code: 3, rows: 1, rejects: 3003 },
  },
  {
    what: 'the longest text for an integer in NDJSON, which the server quotes',
    name: 'x.ndjson',
    content: () => `{"a":"${'9'.repeat(LONGEST)}"}\n{"a":1}\n`,
    flags: REJECTS,
    columns: 'a int, b text',
    expected: { code: 3, rows: 1, rejects: 1 },
  },
  {
    what: 'the longest text of escaped tabs for an integer in NDJSON',
    name: 'x.ndjson',
    content: () => `{"a":1}\n{"a":"${'\\t'.repeat(LONGEST / 2)}"}\n{"a":1}\n`,
    flags: REJECTS,
    columns: 'a int, b text',
    expected: { code: 3, rows: 2, rejects: 1 },
  },
  {
    what: 'the longest text of backslashes, which a constraint refuses',
    name: 'x.csv',
    content: () => `a,b\n1,"${'\\'.repeat(LONGEST)}"\n1,z\n`,
    flags: REJECTS,
    columns: 'a int, b text CHECK (length(b) < 9)',
    expected: { code: 3, rows: 1, rejects: 1 },
  },
  {
    what: 'an exponent of many digits for an integer',
    name: 'x.ndjson',
    content: () => `{"a":1e${'9'.repeat(15_000_000)}}\n`,
    columns: 'a int, b text',
    expected: {
      code: 1,
      error: matching(/x\.ndjson:1: column "a" \(integer\) must be an integer; got 1e9+…/),
    },
  },
  {
    what: 'a million numbers in their own spelling for jsonb',
    name: 'x.ndjson',
    content: () => `{"b":[${'1.10,'.repeat(900_000)}1]}\n`,
    columns: 'a int, b jsonb',
    mostMemory: 130 * MIB,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'a million numbers in their own spelling for an array',
    name: 'x.ndjson',
    content: () => `{"b":[${'1.10,'.repeat(900_000)}1]}\n`,
    columns: 'a int, b numeric[]',
    mostMemory: 150 * MIB,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'half a million keys of an object',
    name: 'x.ndjson',
    content: () =>
      `{"b":{${Array.from({ length: 450_000 }, (_, n) => `"k${n}":1.10`).join(',')}}}\n{"a":1}\n`,
    columns: 'a int, b jsonb',
    mostMemory: 150 * MIB,
    expected: { code: 0, rows: 2 },
  },
  {
    what: 'half a million keys of a record',
    name: 'x.ndjson',
    content: () => `{"a":1}\n{${Array.from({ length: 500_000 }, (_, n) => `"k${n}":1`).join(',')}}\n`,
    columns: 'a int, b text',
    flags: REJECTS,
    mostMemory: 120 * MIB,
    expected: { code: 3, rows: 1, rejects: 1 },
  },
  {
    what: 'half a million keys of the first record',
    name: 'x.ndjson',
    content: () => `{${Array.from({ length: 500_000 }, (_, n) => `"k${n}":1`).join(',')}}\n`,
    columns: 'a int, b text',
    mostMemory: 120 * MIB,
    expected: { code: 1, error: matching(/x\.ndjson:1: the records up to here have more keys than .*1,600/) },
  },
  {
    what: 'a million texts for jsonb[]',
    name: 'x.ndjson',
    content: () => `{"b":[${'"abc",'.repeat(1_000_000)}1]}\n`,
    columns: 'a int, b jsonb[]',
    mostMemory: 150 * MIB,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'half a million keys with escapes',
    name: 'x.ndjson',
    content: () => `{"a":1}\n{${Array.from({ length: 500_000 }, (_, n) => `"k\\n${n}":1`).join(',')}}\n`,
    columns: 'a int, b text',
    flags: REJECTS,
    mostMemory: 120 * MIB,
    expected: { code: 3, rows: 1, rejects: 1 },
  },
  {
    what: 'half a million keys with escapes in an object',
    name: 'x.ndjson',
    content: () => `{"b":{${Array.from({ length: 450_000 }, (_, n) => `"\\/${n}":1`).join(',')}}}\n{"a":1}\n`,
    columns: 'a int, b jsonb',
    mostMemory: 150 * MIB,
    expected: { code: 0, rows: 2 },
  },
  {
    what: 'half a million short arrays for jsonb[]',
    name: 'x.ndjson',
    content: () => `{"b":[${'["x"],'.repeat(500_000)}["x"]]}\n`,
    columns: 'a int, b jsonb[]',
    mostMemory: 150 * MIB,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'half a million objects for text[]',
    name: 'x.ndjson',
    content: () => `{"b":[${'{},'.repeat(500_000)}"x"]}\n`,
    columns: 'a int, b text[]',
    mostMemory: 120 * MIB,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'half a million short texts with escapes in arrays for text[]',
    name: 'x.ndjson',
    content: () => `{"b":[${'["\\n"],'.repeat(500_000)}["x"]]}\n`,
    columns: 'a int, b text[]',
    mostMemory: 150 * MIB,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'a million integers with a point for int[]',
    name: 'x.ndjson',
    content: () => `{"b":[${'1.0,'.repeat(1_000_000)}1]}\n`,
    columns: 'a int, b int[]',
    mostMemory: 130 * MIB,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'texts with escapes for text[]',
    name: 'x.ndjson',
    content: () => `{"b":[${'"\\"\\\\\\n",'.repeat(600_000)}"1"]}\n`,
    columns: 'a int, b text[]',
    mostMemory: 150 * MIB,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'texts of 4000 characters beside a number in its own spelling',
    name: 'x.ndjson',
    content: () => `{"b":[1.10,${`"${'x'.repeat(4000)}",`.repeat(3500)}1]}\n`,
    columns: 'a int, b jsonb',
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'two million escapes of control characters for jsonb',
    name: 'x.ndjson',
    content: () => `{"b":"${'\\u0001'.repeat(2_400_000)}"}\n`,
    columns: 'a int, b jsonb',
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'nesting that only the server can judge',
    name: 'x.ndjson',
    content: () => `{"b":${'['.repeat(99_000)}${']'.repeat(99_000)}}\n{"a":1}\n`,
    columns: 'a int, b jsonb',
    flags: REJECTS,
    expected: { code: 3, rows: 1, rejects: 1 },
  },
  {
    what: 'quotes left open on each line',
    name: 'x.csv',
    content: () => `a,b\n${'1,"x\n'.repeat(100_000)}`,
    flags: REJECTS,
    expected: { code: 3, rows: 0, rejects: 100_000 },
  },
  {
    what: 'lines of white space',
    name: 'x.ndjson',
    content: () => `${' \n'.repeat(2 * MIB)}${'\u00a0\n'.repeat(MIB)}{"a":1}\n`,
    expected: { code: 0, rows: 1 },
  },
  {
    what: 'integers with an exponent',
    name: 'x.ndjson',
    content: () => '{"a":1e2}\n'.repeat(100_000),
    columns: 'a int, b text',
    expected: { code: 0, rows: 100_000 },
  },
  {
    what: 'U+0000 in a long field',
    name: 'x.csv',
    content: () => `a,b\n1,${'\0'.repeat(4 * MIB)}\n`,
    flags: REJECTS,
    expected: { code: 3, rows: 0, rejects: 1 },
  },
];

/** In bytes; of a file that is zipped, what is read of its lines. */
function longestLine(content: string | Buffer): number {
  const bytes = Buffer.from(content);
  if (bytes[0] === 0x1f) return 16 * MIB;
  let longest = 0;
  for (let start = 0; start < bytes.length;) {
    const lineFeed = bytes.indexOf('\n', start);
    const end = lineFeed === -1 ? bytes.length : lineFeed + 1;
    longest = Math.max(longest, end - start);
    start = end;
  }
  return longest;
}

describe('an input that is made to take memory and time', () => {
  it.each(CASES)(
    'is loaded or refused by its line: $what',
    async ({ name, content, flags, columns, mostMemory = MOST_MEMORY, expected }) => {
      const bytes = content();
      const outcome = await outcomeOf(name, bytes, flags, columns);
      expect(outcome).toMatchObject(expected);
      expect(outcome.peakMemoryBytes).toBeLessThan(mostMemory);
      expect(outcome.cpuSeconds).toBeLessThan(MOST_TIMES * plain.cpuSeconds);
      expect(outcome.longestTurnMs).toBeLessThan(
        MOST_TURN_TIMES * plain.longestTurnMs * Math.max(1, longestLine(bytes) / MIB),
      );
    },
  );
});
