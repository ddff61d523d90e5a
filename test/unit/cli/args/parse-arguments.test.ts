import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../../src/cli/common/errors.js';
import type { LoadOptions } from '../../../../src/cli/args/options.js';
import { parseArguments } from '../../../../src/cli/args/parse-arguments.js';

function load(...argv: string[]): LoadOptions {
  const invocation = parseArguments(['load', ...argv]);
  if (invocation.command !== 'load') throw new Error(`got ${invocation.command}`);
  return invocation.options;
}

function refusal(...argv: string[]): string {
  try {
    parseArguments(argv);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('was accepted');
}

function help(...argv: string[]): string {
  const invocation = parseArguments(argv);
  if (invocation.command !== 'help') throw new Error(`got ${invocation.command}`);
  return invocation.text;
}

describe('options of load', () => {
  it.each([
    ['data.zip', 'a.ndjson', 'ndjson'],
    ['data.zip', 'folder/a.csv', 'csv'],
    ['data.csv.zip', 'a.ndjson', 'csv'],
  ])('take the format of %s with %s in it as %s', (file, entry, format) => {
    const contents = { isParquet: () => false, entryName: () => entry };
    expect(parseArguments(['load', '-t', 't', file], contents)).toMatchObject({ options: { format } });
  });

  it('have these defaults', () => {
    expect(load('-t', 'events', 'events.csv')).toEqual({
      files: ['events.csv'],
      table: { schema: undefined, table: 'events' },
      to: undefined,
      format: 'csv',
      isJsonDocument: false,
      isParquet: false,
      columns: undefined,
      flags: {},
      strict: false,
      delimiter: ',',
      nullText: '',
      otherNulls: [],
      nullsFor: {},
      header: true,
      skipped: 0,
      valueFlags: { dates: undefined, numbers: undefined, booleans: false },
      pad: false,
      trim: false,
      nul: undefined,
      create: false,
      types: {},
      normalizeNames: false,
      truncate: false,
      batchSize: undefined,
      connections: undefined,
      maxRecordBytes: 16 * 1024 * 1024,
      strategy: 'block',
      onConflict: 'error',
      key: undefined,
      rejects: undefined,
      maxRejects: undefined,
      report: undefined,
      resume: undefined,
      atomic: false,
      dryRun: false,
      json: false,
      quiet: false,
    });
  });

  it('are all read', () => {
    const argv =
      'a.csv b.csv --table s.t --to embedded --format csv --columns a,,c --delimiter ; --null NULL --null - --null-for a=x=1 --null-for a= --null-for c=y --no-header --create --type a=NUMERIC(10,2) --type "c=d"=text[] --normalize-names ' +
      "--encoding latin1 --quote ' --escape \\ --skip 3 --comment # --dates dmy --booleans --decimal-comma --trim --nul strip --pad --truncate --batch-size 500 --connections 2 --max-record-bytes 64KiB --strategy drop-oldest --on-conflict update --key a,c --rejects r --max-rejects 7 --dry-run --json --quiet";
    expect(load(...argv.split(' '))).toEqual({
      files: ['a.csv', 'b.csv'],
      table: { schema: 's', table: 't' },
      to: 'embedded',
      format: 'csv',
      isJsonDocument: false,
      isParquet: false,
      columns: ['a', '', 'c'],
      flags: {
        encoding: 'windows-1252',
        delimiter: ';',
        quote: "'",
        escape: '\\',
        skip: 3,
        comment: '#',
        header: false,
      },
      strict: false,
      delimiter: ';',
      nullText: 'NULL',
      otherNulls: ['-'],
      nullsFor: { a: ['x=1', ''], c: ['y'] },
      header: false,
      skipped: 3,
      valueFlags: { dates: 'dmy', numbers: { decimal: ',', group: '' }, booleans: true },
      pad: true,
      trim: true,
      nul: 'strip',
      create: true,
      types: {
        a: expect.objectContaining({ text: 'numeric(10,2)', kind: 'number' }) as object,
        'c=d': expect.objectContaining({ text: 'text[]', kind: 'other' }) as object,
      },
      normalizeNames: true,
      truncate: true,
      batchSize: 500,
      connections: 2,
      maxRecordBytes: 65_536,
      strategy: 'drop_oldest',
      onConflict: 'update',
      key: ['a', 'c'],
      rejects: 'r',
      maxRejects: 7,
      resume: undefined,
      atomic: false,
      dryRun: true,
      json: true,
      quiet: true,
    });
  });

  it.each([
    ['events.csv', 'csv', ','],
    ['EVENTS.CSV.GZ', 'csv', ','],
    ['events.tsv', 'csv', '\t'],
    ['events.tab.gz', 'csv', '\t'],
    ['events.ndjson', 'ndjson', ','],
    ['events.jsonl.gz', 'ndjson', ','],
  ])('takes the format of %s from the name', (file, format, delimiter) => {
    expect(load('-t', 't', file)).toMatchObject({ format, delimiter, isJsonDocument: false });
  });

  it('takes the empty text for the server’s NULL if --null names it among others', () => {
    const parsed = parseArguments(['load', 'x.csv', '-t', 't', '--null', 'NA', '--null', '', '--null', 'NA']);
    expect(parsed).toMatchObject({ options: { nullText: '', otherNulls: ['NA'] } });
  });

  it('reads .json, .geojson and --format json as JSON of any layout', () => {
    for (const args of [['a.json'], ['a.JSON.gz'], ['a.geojson'], ['-', '-f', 'json']])
      expect(load('-t', 't', ...args)).toMatchObject({ format: 'ndjson', isJsonDocument: true });
  });

  it.each([
    ['tab', '\t'],
    ['\\t', '\t'],
    ['\t', '\t'],
    ['|', '|'],
  ])('reads the delimiter %j', (text, delimiter) => {
    expect(load('-t', 't', 'a.csv', '--delimiter', text).delimiter).toBe(delimiter);
  });

  it.each([
    ['100', 100],
    ['2k', 2048],
    ['16MiB', 16 * 1024 * 1024],
    ['1mb', 1024 * 1024],
  ])('reads %s as a number of bytes', (text, bytes) => {
    expect(load('-t', 't', 'a.csv', '--max-record-bytes', text).maxRecordBytes).toBe(bytes);
  });

  it.each([
    ['events', undefined, 'events'],
    ['Public.Events', 'Public', 'Events'],
    ['"a.b"', undefined, 'a.b'],
    ['"x""y"."a.b"', 'x"y', 'a.b'],
    ['two words', undefined, 'two words'],
  ])('reads the table %s', (text, schema, table) => {
    expect(load('-t', text, 'a.csv').table).toEqual({ schema, table });
  });

  it('options of a load that resumes, and of one that is atomic, are parsed', () => {
    expect(load('-t', 't', 'a.csv', '--import', "'; DROP TABLE t; --").resume).toBe("'; DROP TABLE t; --");
    expect(load('-t', 't', 'a.csv', '--atomic', '--connections', '1')).toMatchObject({
      atomic: true,
      connections: 1,
    });
    expect(load('-t', 't', 'a.csv', '--on-conflict', 'ignore')).toMatchObject({
      onConflict: 'ignore',
      key: undefined,
    });
    expect(load('-t', 't', '-', 'a.csv', '--format', 'csv', '--import', 'x').files).toEqual(['-', 'a.csv']);
  });
});

describe('wrong usage names the flag, its range and the value', () => {
  it.each<[string[], RegExp]>([
    [[], /^a command is missing: load, consume or query$/],
    [['lod'], /unknown command 'lod' \(Did you mean load\?\)/],
    [['load', 'a.csv'], /required option '-t, --table <name>'/],
    [['load', '-t'], /argument missing/],
    [['load', '-t', '', 'a.csv'], /--table.*NAME or SCHEMA\.NAME/],
    [['load', '-t', 'a.b.c', 'a.csv'], /--table.*'a\.b\.c'.*NAME or SCHEMA\.NAME/],
    [
      ['load', '-t', 't', 'a.csv', '--delimeter', ';'],
      /unknown option '--delimeter' \(Did you mean --delimiter\?\)/,
    ],
    [['load', '--tabel', 't', 'a.csv'], /unknown option '--tabel' \(Did you mean --table\?\)/],
    [['load', '-t', 't', 'a.csv', '--batch-size', '0'], /--batch-size.*'0'.*from 1 to 1000000/],
    [['load', '-t', 't', 'a.csv', '--batch-size', '1e3'], /--batch-size.*'1e3'.*whole number/],
    [['load', '-t', 't', 'a.csv', '--connections', '101'], /--connections.*'101'.*from 1 to 100/],
    [
      ['load', '-t', 't', 'a.csv', '--max-record-bytes', '1TB'],
      /--max-record-bytes.*'1TB'.*from 1 to 268435456/,
    ],
    [['load', '-t', 't', 'a.csv', '--format', 'xml'], /--format.*'xml'.*csv, ndjson/],
    [
      ['load', '-t', 't', 'a.csv', '--strategy', 'drop'],
      /--strategy.*'drop'.*block, drop_oldest, drop_newest, sample/,
    ],
    [['load', '-t', 't', 'a.csv', '--delimiter', 'ab'], /--delimiter.*one ASCII character/],
    [['load', '-t', 't', 'a.csv', '--delimiter', '"'], /--delimiter.*one ASCII character/],
    [['load', '-t', 't', 'a.csv', '--delimiter', 'é'], /--delimiter.*one ASCII character/],
    [['load', '-t', 't', 'a.csv', '--columns', 'a,b,a'], /--columns.*names the column "a" twice/],
    [['load', '-t', 't', 'a.csv', '--columns', ','], /--columns.*at least one/],
    [['load', '-t', 't', 'a.csv', '--null', 'a"b'], /--null must not contain a quote/],
    [['load', '-t', 't', 'a.csv', '--null', 'a,b'], /--null must not contain the delimiter/],
    [['load', '-t', 't', 'a.ndjson', '--null', 'x'], /--null is for CSV/],
    [['load', '-t', 't', 'a.ndjson', '--delimiter', ';'], /--delimiter is for CSV/],
    [['load', '-t', 't', 'a.ndjson', '--no-header'], /--no-header is for CSV/],
    [['load', '-t', 't', 'a.ndjson', '--columns', 'a,,b'], /--columns has an empty name/],
    [['load', '-t', 't', 'a.csv', '--type', 'a=int'], /^--type needs --create/],
    [['load', '-t', 't', 'a.csv', '--create', '--type', 'a'], /--type.*'a' is invalid.*COLUMN=TYPE/],
    [['load', '-t', 't', 'a.csv', '--create', '--type', '=int'], /--type.*COLUMN=TYPE/],
    [['load', '-t', 't', 'a.csv', '--create', '--type', 'a=int; DROP TABLE t'], /--type.*COLUMN=TYPE/],
    [
      ['load', '-t', 't', 'a.csv', '--create', '--type', 'a=int', '--type', 'a=text'],
      /--type.*the column "a" a second type/,
    ],
    [['load', '-t', 't', '-'], /standard input does not say its format/],
    [['load', '-t', 't'], /standard input does not say its format/],
    [
      ['load', '-t', 't', 'data.txt'],
      /"data\.txt" does not say its format: give --format csv, ndjson, json, parquet or copy$/,
    ],
    [['load', '-t', 't', 'd.2/data'], /"d\.2\/data" does not say its format: .* DIRECTORY\/\*\.csv/],
    [['load', '-t', 't', '.'], /"\." does not say its format: .* DIRECTORY\/\*\.csv/],
    [['load', '-t', 't', 'a.csv', 'b.ndjson'], /different formats/],
    [['load', '-t', 't', '-', '-', '--format', 'csv'], /only once/],
    [['load', '-t', 't', 'a.csv', '--to', ''], /--to.*must not be empty/],
    [['load', '-t', 't', 'a.csv', '--max-rejects', '5'], /^--max-rejects needs --rejects$/],
    [['load', '-t', 't', 'a.csv', '--rejects', 'r', '--max-rejects', '-1'], /--max-rejects.*'-1'.*from 0/],
    [['load', '-t', 't', 'a.csv', '--rejects', '-'], /--rejects.*must be a file/],
    [['load', '-t', 't', 'a.csv', '--rejects', ''], /--rejects.*must not be empty/],
    [['load', '-t', 't', 'a.csv', '--report', '-'], /--report.*must be a file/],
    [['load', '-t', 't', 'a.csv', '--report', 'a.csv'], /^--report names a file that is to be loaded$/],
    [
      ['load', '-t', 't', 'a.csv', '--report', 'x', '--rejects', 'x'],
      /^--report and --rejects name the same file$/,
    ],
    [['load', '-t', 't', 'a.csv', '--rejects', 'a.csv'], /^--rejects names a file that is to be loaded$/],
    [
      ['load', '-t', 't', 'a.csv', '--key', 'a'],
      /^--key needs --on-conflict ignore or --on-conflict update$/,
    ],
    [['load', '-t', 't', 'a.csv', '--on-conflict', 'update'], /^--on-conflict update needs --key/],
    [['load', '-t', 't', 'a.csv', '--on-conflict', 'merge'], /--on-conflict.*'merge'.*error, ignore, update/],
    [['load', '-t', 't', 'a.csv', '--on-conflict', 'update', '--key', 'a,,b'], /--key.*empty name/],
    [['load', '-t', 't', 'a.csv', '--on-conflict', 'update', '--key', 'a,a'], /--key.*"a" twice/],
    [['load', '-t', 't', 'a.csv', '--import', ''], /--import.*1 to 1000 bytes/],
    [['load', '-t', 't', 'a.csv', '--import', 'é'.repeat(501)], /--import.*1 to 1000 bytes/],
    [
      ['load', '-t', 't', 'a.csv', '--import', 'x', '--strategy', 'sample'],
      /^--import needs --strategy block/,
    ],
    [['load', '-t', 't', 'a.csv', '--import', 'x', '--atomic'], /^--import and --atomic exclude each other/],
    [
      ['load', '-t', 't', 'a.csv', '-', '--format', 'csv', '--import', 'x'],
      /standard input.*must be the first/,
    ],
    [['load', '-t', 't', 'a.csv', '--atomic', '--connections', '2'], /^--atomic is one transaction/],
    [
      ['load', '-t', 't', 'a.csv', '--atomic', '--strategy', 'drop_newest'],
      /^--atomic needs --strategy block/,
    ],
    [['load', '-t', 't', 'a.csv', '--dates', 'dym'], /--dates.*'dym'.*dmy, mdy, ymd/],
    [
      ['load', '-t', 't', 'a.csv', '--numbers', '1,234'],
      /--numbers.*the number 1234.5 as the file writes it/,
    ],
    [
      ['load', '-t', 't', 'a.csv', '--numbers', '1.234,5', '--decimal-comma'],
      /^--decimal-comma and --numbers exclude each other/,
    ],
    [['load', '-t', 't', 'a.ndjson', '--dates', 'dmy'], /--dates is for CSV, and the input is JSON/],
    [['load', '-t', 't', 'a.ndjson', '--booleans'], /--booleans is for CSV/],
    [['load', '-t', 't', 'a.copy', '--format', 'copy', '--dates', 'dmy'], /--dates is for CSV/],
    [['load', '-t', 't', 'a.csv', '--trim', '--null', ' '], /no field is " " with --trim/],
    [['load', '-t', 't', 'a.csv', '--trim', '--null-for', 'a= x'], /no field is " x" with --trim/],
    [['query'], /missing required argument 'sql'/],
    [['query', 'a', 'b'], /too many arguments/],
  ])('%j', (argv, message) => {
    const text = refusal(...argv);
    expect(text).toMatch(message);
    expect(text).not.toContain('\n');
  });
});

describe('a flag that takes one value', () => {
  const values: Record<string, string> = {
    '--table': 't',
    '--to': 'embedded',
    '--format': 'csv',
    '--columns': 'a',
    '--delimiter': ';',
    '--batch-size': '5',
    '--encoding': 'utf-16le',
    '--quote': 'none',
    '--escape': '\\',
    '--skip': '2',
    '--dates': 'dmy',
    '--nul': 'strip',
    '--numbers': '1,234.5',
    '--comment': '#',
    '--connections': '2',
    '--max-record-bytes': '64KiB',
    '--strategy': 'block',
    '--on-conflict': 'ignore',
    '--key': 'a',
    '--rejects': 'bad',
    '--max-rejects': '3',
    '--report': 'page.html',
    '--import': 'x',
  };

  it('is in the list above, if it is one of load', () => {
    const flags = [...help('load', '--help').matchAll(/^ {2}(?:-\w, |--resume, )?(--[a-z-]+) </gm)].map(
      ([, flag]) => flag,
    );
    const repeatable = ['--null', '--null-for', '--type'];
    expect(flags.toSorted()).toEqual([...Object.keys(values), ...repeatable].toSorted());
  });

  it.each(Object.entries(values))('is refused by name when load gets it twice: %s', (flag, value) => {
    const argv = ['load', '-t', 't', 'a.csv'].filter((word) => flag !== '--table' || !/^-?t$/.test(word));
    expect(refusal(...argv, flag, value, flag, value)).toMatch(
      new RegExp(`^option '.*${flag} <.*' is given more than once$`),
    );
    expect(refusal(...argv, `${flag}=${value}`, 'b.csv', `${flag}=${value}`)).toMatch(
      /is given more than once$/,
    );
  });

  it('is refused under its short name, and when query gets it twice', () => {
    expect(refusal('load', '-t', 'a', '--table', 'b', 'x.csv')).toMatch(
      /--table <name>' is given more than once/,
    );
    expect(refusal('query', '--to', 'embedded', '--to', 'embedded', 'SELECT 1')).toMatch(
      /'--to <url>' is given/,
    );
  });

  it('is refused under its older name, too', () => {
    expect(load('-t', 't', '--resume', 'x', 'a.csv').resume).toBe('x');
    expect(load('-t', 't', '--import', 'x', 'a.csv').resume).toBe('x');
    expect(refusal('load', '-t', 't', '--resume', 'x', '--import', 'x', 'a.csv')).toMatch(
      /^option '--resume, --import <id>' is given more than once$/,
    );
  });

  it('may be given once in each call', () => {
    for (let run = 0; run < 2; run += 1) expect(load('-t', 't', '--null', 'x', 'a.csv').nullText).toBe('x');
  });
});

describe('help and version', () => {
  it('are no failure although the process counts as failed until it has an answer', () => {
    const before = process.exitCode;
    process.exitCode = 1;
    try {
      expect(help('help', 'load')).toBe(help('load', '--help'));
      expect(help('help')).toBe(help('--help'));
      expect(help('help', 'query')).toContain('read-only');
      expect(refusal('help', 'nothing')).toMatch(/a command is missing/);
      expect(refusal()).toMatch(/a command is missing/);
    } finally {
      process.exitCode = before;
    }
  });

  it('explain the commands', () => {
    expect(help('--help')).toMatch(/load \[options\][\s\S]*query \[options\][\s\S]*--to embedded/);
    expect(help('help', 'load')).toBe(help('load', '-h'));
    expect(help('query', '--help')).toContain('read-only');
    expect(parseArguments(['--version'])).toEqual({ command: 'version' });
    expect(parseArguments(['-V'])).toEqual({ command: 'version' });
  });

  it('fit a terminal of 110 columns', () => {
    for (const argv of [['--help'], ['load', '--help'], ['query', '--help']]) {
      for (const line of help(...argv).split('\n')) expect(line.length).toBeLessThanOrEqual(110);
    }
  });
});

describe('options of query', () => {
  it('are read', () => {
    expect(parseArguments(['query', '--to', 'embedded', '--json', 'SELECT 1'])).toEqual({
      command: 'query',
      options: { sql: 'SELECT 1', to: 'embedded', json: true },
    });
  });
});

describe('consume', () => {
  const NEEDED = ['consume', '--stream', 'S', '--table', 'shop.orders', '--import', 'i'];

  it('reads flags, with defaults', () => {
    const given = parseArguments([
      ...NEEDED,
      ...[
        'nats://a',
        'nats://b',
        '--lease',
        '2m',
        '--flush-interval',
        '0ms',
        '--from',
        '2026-11-30T08:00:00+01:00',
      ],
      ...['--on-conflict', 'update', '--key', 'a,b', '--create', '--type', 'n=numeric'],
    ]);
    expect(given).toMatchObject({
      command: 'consume',
      options: {
        servers: ['nats://a', 'nats://b'],
        stream: 'S',
        table: { schema: 'shop', table: 'orders' },
        import: 'i',
        lease: 120_000,
        flushInterval: 0,
        from: new Date('2026-11-30T07:00:00Z'),
        key: ['a', 'b'],
        deadLetter: 'spillway_dead_letters',
        untilCaughtUp: false,
        connections: undefined,
      },
    });
    expect(parseArguments([...NEEDED, '--from', '17'])).toMatchObject({ options: { from: 17, servers: [] } });
  });

  it.each([
    [['consume'], /required option '-s, --stream <name>' not specified/],
    [['consume', '-s', 'S'], /required option '-t, --table <name>' not specified/],
    [['consume', '-s', 'S', '-t', 't'], /required option '--import <id>' not specified/],
    [[...NEEDED, '--lease', '15'], /It must be a time from 1000 ms to 1 h, with its unit/],
    [[...NEEDED, '--lease', '500ms'], /It must be a time from 1000 ms/],
    [[...NEEDED, '--max-outage', '2d'], /with its unit/],
    [[...NEEDED, '--from', '0'], /It must be first, last, a sequence/],
    [[...NEEDED, '--from', '2026-02-30T00:00:00Z'], /It must be first, last, a sequence/],
    [[...NEEDED, '--from', '2026-02-03T00:00:00'], /a time with its zone/],
    [[...NEEDED, '--type', 'a=text'], /--type needs --create/],
    [[...NEEDED, '--key', 'a'], /--key needs --on-conflict/],
    [[...NEEDED, '--on-conflict', 'update'], /--on-conflict update needs --key/],
    [[...NEEDED, '--creds', 'a', '--nkey', 'b'], /--creds and --nkey exclude each other/],
    [[...NEEDED, '--tlscert', 'a'], /--tlscert and --tlskey belong together/],
    [[...NEEDED, '--stream', 'T'], /is given more than once/],
    [[...NEEDED, '--columns', 'a,,b'], /It has an empty name/],
    [
      [...NEEDED, '--filter', 'a,b'],
      /'--filter <subject>' argument 'a,b' is invalid\. It must be one subject/,
    ],
    [[...NEEDED, '--filter', ''], /It must not be empty/],
    [[...NEEDED, '--resume', 'x'], /unknown option '--resume'/],
  ])('%j is refused', (argv, message) => {
    expect(refusal(...argv)).toMatch(message);
  });

  it('has a help of its own, with every flag', () => {
    const text = help('consume', '--help');
    for (const flag of ['--until-caught-up', '--dead-letter', '--creds', '--tlsca', '--json'])
      expect(text).toContain(flag);
    expect(help('help', 'consume')).toBe(text);
    expect(help('--help')).toMatch(/^ +consume .*NATS/m);
  });
});
