import { describe, expect, it } from 'vitest';
import { CliError, oneLine } from '../../../../src/cli/common/errors.js';
import { parseArguments } from '../../../../src/cli/args/parse-arguments.js';
import { formatTable } from '../../../../src/cli/report/value-table.js';
import { ReadRow } from '../../../../src/cli/records/record-parser.js';
import { Widenings } from '../../../../src/cli/report/widenings.js';
import { summarise, type LoadOutcome } from '../../../../src/cli/report/summary.js';
import type { SinkMetrics } from '../../../../src/api/metrics.js';
import { BackpressureWritable } from '../../../../src/stream/backpressure-writable.js';

function metrics(changes: Partial<SinkMetrics> = {}): SinkMetrics {
  const fresh = new BackpressureWritable(async () => undefined).getMetrics();
  return { ...fresh, ...changes };
}

function outcome(changes: Partial<LoadOutcome> = {}): LoadOutcome {
  const invocation = parseArguments(['load', '-t', 'shop.events', 'events.csv']);
  if (invocation.command !== 'load') throw new Error('no load');
  return {
    options: invocation.options,
    label: 'db.example:5432/shop',
    created: false,
    dropped: false,
    notes: [],
    widenings: new Widenings(),
    reading: undefined,
    truncated: false,
    seconds: 2,
    bytesRead: 3 * 1024 * 1024,
    metrics: metrics({ eventsOffered: 2000, eventsFlushed: 2000 }),
    lastRow: new ReadRow([], { name: 'events.csv', path: 'events.csv', sizeBytes: 1 }, 2001, 1999),
    failure: undefined,
    stoppedBy: undefined,
    committed: true,
    rowsUnknown: 0,
    isUnconfirmed: false,
    rejects: 0,
    import: undefined,
    ...changes,
  };
}

describe('the summary', () => {
  it('the summary of a load that went well names rows and table', () => {
    const { exitCode, error, lines, json } = summarise(outcome());
    expect({ exitCode, error }).toEqual({ exitCode: 0, error: undefined });
    expect(lines[0]).toBe(
      '2,000 rows into "shop.events" of db.example:5432/shop in 2.00 s: 1,000 rows/s, 3.0 MiB read',
    );
    expect(lines).toHaveLength(2);
    expect(json).toMatchObject({
      table: 'events',
      schema: 'shop',
      rows: 2000,
      rowsPerSecond: 1000,
      seconds: 2,
    });
  });

  it('the summary of a load that failed says how much is in the table', () => {
    const failure = new CliError('events.csv:7: bad');
    for (const [rows, words] of [
      [0, 'events.csv:7: bad (nothing was loaded)'],
      [1, 'events.csv:7: bad (1 row was loaded)'],
      [1234, 'events.csv:7: bad (1,234 rows were loaded)'],
    ] as const) {
      const { exitCode, error, json } = summarise(
        outcome({ failure, metrics: metrics({ eventsFlushed: rows }) }),
      );
      expect({ exitCode, error }).toEqual({ exitCode: 1, error: words });
      expect(json['error']).toBe('events.csv:7: bad');
    }
  });

  it('the summary of a load without a response to COMMIT says how much may be in the table', () => {
    const failure = new CliError('the connection was lost');
    for (const [rows, atomic, words] of [
      [0, false, 'up to 7 rows may be in the table: COMMIT was sent and not answered'],
      [
        2,
        false,
        '2 rows were loaded; up to 7 rows more may be in the table: COMMIT was sent and not answered',
      ],
      [7, true, 'either all of 7 rows are in the table, or none: look before you load again'],
    ] as const) {
      const { options } = outcome();
      const changes = { failure, rowsUnknown: 7, committed: !atomic, options: { ...options, atomic } };
      const { error, json } = summarise(outcome({ ...changes, metrics: metrics({ eventsFlushed: rows }) }));
      expect(error).toBe(`the connection was lost (${words})`);
      expect(json).toMatchObject({ rows: atomic ? 0 : rows, rowsUnknown: 7 });
    }
  });

  it('a load that dropped rows has exit code 3, unless it failed or was stopped', () => {
    const dropped = metrics({
      eventsOffered: 10,
      eventsDropped: 4,
      dropsByReason: { ...metrics().dropsByReason, evicted: 3, sampled: 1 },
    });
    const { exitCode, lines, json } = summarise(outcome({ metrics: dropped }));
    expect(exitCode).toBe(3);
    expect(lines.at(-1)).toBe('4 of 10 rows were dropped (3 evicted, 1 sampled)');
    expect(json['dropsByReason']).toEqual({ evicted: 3, sampled: 1 });
    expect(summarise(outcome({ metrics: dropped, stoppedBy: 'SIGINT' })).exitCode).toBe(130);
    expect(summarise(outcome({ metrics: dropped, failure: new CliError('x') })).exitCode).toBe(1);
  });

  it('the summary of a load that was stopped says where', () => {
    expect(summarise(outcome({ stoppedBy: 'SIGTERM' }))).toMatchObject({
      exitCode: 143,
      error:
        'stopped by SIGTERM after events.csv:2001; the rows up to there were loaded: 2,000; with --import ID a load can go on from where it stopped',
    });
    expect(summarise(outcome({ stoppedBy: 'SIGINT', lastRow: undefined })).error).toBe(
      'stopped by SIGINT before the first row',
    );
  });
});

describe('the summary of a load with rejects, or of an import', () => {
  const imported = {
    importId: 'x',
    rowsBefore: 3000,
    rejectedBefore: 2,
    wasFinished: false,
    isFinished: true,
  };
  const withRejects = { ...outcome().options, rejects: 'bad.ndjson' };

  it('counts rows and rejects of this run and of all', () => {
    const { exitCode, lines, json } = summarise(
      outcome({ options: withRejects, rejects: 5, import: imported }),
    );
    expect(exitCode).toBe(3);
    expect(lines[1]).toBe('import "x": 3,000 rows before, 2,000 now, 5,000 in all');
    expect(lines.at(-1)).toBe('5 rows were rejected: see bad.ndjson');
    expect(json).toMatchObject({
      rows: 2000,
      rowsBefore: 3000,
      rowsInAll: 5000,
      rejects: 3,
      rejectsInAll: 5,
      rejectsFile: 'bad.ndjson',
      importId: 'x',
      importFinished: true,
    });
  });

  it('says that nothing was left to do, and which rejects there were', () => {
    const none = { metrics: metrics(), import: { ...imported, wasFinished: true } };
    const { exitCode, lines } = summarise(outcome({ ...none, rejects: 1 }));
    expect(exitCode).toBe(3);
    expect(lines).toEqual([
      'import "x" is complete, nothing was left to do: 3,000 rows into "shop.events" of db.example:5432/shop',
      '1 row was rejected by earlier runs',
    ]);
    expect(summarise(outcome(none)).exitCode).toBe(0);
  });

  it('says how to go on after a stop, and that an atomic load leaves nothing', () => {
    const { options } = outcome();
    const resumed = outcome({ options: { ...options, resume: 'x' }, stoppedBy: 'SIGINT', import: imported });
    expect(summarise(resumed).error).toMatch(/were loaded: 2,000; run the same command again to go on$/);
    const atomic = outcome({ options: { ...options, atomic: true }, stoppedBy: 'SIGTERM', committed: false });
    expect(summarise(atomic)).toMatchObject({
      exitCode: 143,
      error: 'stopped by SIGTERM; nothing was loaded, as --atomic has it',
      json: { rows: 0, rowsPerSecond: 0 },
    });
    const failed = outcome({ committed: false, failure: new CliError('x') });
    expect(summarise(failed).error).toBe('x (nothing was loaded)');
  });
});

describe('the table of a query', () => {
  it('has numbers to the right, NULL spelt out, and nothing that a terminal would obey', () => {
    const fields = [
      { name: 'n', dataTypeID: 23 },
      { name: 'text', dataTypeID: 25 },
    ];
    const rows = [
      ['1', 'a\nb'],
      ['200', '\u001b[31mred'],
      [null, '😀'],
    ];
    expect(formatTable(fields, rows)).toBe(
      [
        '   n | text',
        '-----+------------',
        '   1 | a\\nb',
        ' 200 | \\x1b[31mred',
        'NULL | 😀',
        '(3 rows)',
        '',
      ].join('\n'),
    );
    expect(formatTable([{ name: 'n', dataTypeID: 23 }], [['1']])).toBe('n\n-\n1\n(1 row)\n');
    expect(formatTable([], [])).toBe('\n\n(0 rows)\n');
  });
});

describe('one line', () => {
  it('is made of many', () => {
    expect(oneLine('a\n  b\r\nc\n')).toBe('a b c');
  });

  it('has at most 500 characters', () => {
    expect(oneLine('x'.repeat(500))).toBe('x'.repeat(500));
    expect(oneLine('x'.repeat(501))).toBe(`${'x'.repeat(499)}…`);
    expect(oneLine(`x${'😀'.repeat(1e6)}`)).toBe(`x${'😀'.repeat(249)}…`);
    expect(oneLine(`${'x'.repeat(498)}😀😀`)).toBe(`${'x'.repeat(498)}…`);
    expect(oneLine(`a${'\n'.repeat(1e6)}b`)).toBe('a …');
  });
});
