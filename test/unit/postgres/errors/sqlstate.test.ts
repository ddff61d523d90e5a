import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  classify,
  hintsAtChangedTable,
  isSqlState,
  leavesConnectionUsable,
  SQLSTATE_CLASSES,
  troubleOf,
} from '../../../../src/postgres/errors/sqlstate.js';

describe('from an error to its class', () => {
  test.each([
    ...[
      '08000',
      '08003',
      '08006',
      '08P01',
      '53000',
      '53100',
      '53200',
      '53300',
      '57014',
      '57P01',
      '57P02',
      '57P03',
    ].map((code) => [code, 'transport'] as const),
    ...['40001', '40P01', '40003', '55P03', '55006', '25006', '25P03', '58030', '72000'].map(
      (code) => [code, 'transport'] as const,
    ),
    ...[
      '22001',
      '22003',
      '22007',
      '22021',
      '22P02',
      '22P05',
      '23502',
      '23503',
      '23505',
      '23514',
      '23P01',
    ].map((code) => [code, 'row'] as const),
    ...['P0001', 'P0004', '38000', '40002', '44000', '54000', '21000'].map((code) => [code, 'row'] as const),
    ...[
      '28000',
      '28P01',
      '3D000',
      '3F000',
      '42P01',
      '42703',
      '42501',
      '42601',
      '0A000',
      '25P02',
      '54011',
      '57P04',
    ].map((code) => [code, 'setup'] as const),
    ...['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].map(
      (code) => [code, 'transport'] as const,
    ),
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'setup'],
    ['XX000', 'unknown'],
    ['MY001', 'unknown'],
    ['ENOSPC_OR_SO', 'unknown'],
    [undefined, 'unknown'],
    ['toString', 'unknown'],
  ] as const)('%s is %s', (code, expected) => {
    expect(classify({ code, message: '' })).toBe(expected);
  });

  test.each([
    ['Connection terminated unexpectedly', 'transport'],
    ['Connection terminated due to connection timeout', 'transport'],
    ['timeout exceeded when trying to connect', 'transport'],
    ['Client has encountered a connection error and is not queryable', 'transport'],
    ['Query read timeout', 'transport'],
    ['Cannot use a pool after calling end on the pool', 'setup'],
    ['The server does not support SSL connections', 'setup'],
    ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string', 'setup'],
    ['something else', 'unknown'],
  ])('node-postgres\' "%s" is %s', (message, expected) => {
    expect(classify(new Error(message))).toBe(expected);
  });

  test.each([
    ['ExecWithCheckOptions', '42501', 'row'],
    ['exec_stmt_raise', '42501', 'row'],
    ['exec_stmt_raise', '0A000', 'row'],
    ['exec_stmt_raise', '40001', 'transport'],
    ['aclcheck_error', '42501', 'setup'],
    ['check_enable_rls', '42501', 'setup'],
    [undefined, '42501', 'setup'],
  ])('the routine %s decides, in any language, of what %s is', (routine, code, expected) => {
    expect(classify({ code, routine, message: 'neue Zeile verletzt Policy' })).toBe(expected);
  });

  test('a full disk never blames a row', () => {
    expect(classify({ code: '53100', message: 'could not extend file: No space left on device' })).toBe(
      'transport',
    );
  });
});

test("codes of Node's that are five letters long are not SQLSTATEs", () => {
  expect(['EPIPE', 'EPERM', '', undefined, 42, '2350', '23505x'].map(isSqlState)).not.toContain(true);
  expect(['23505', 'P0001', '57P01', 'HV000'].map(isSqlState)).not.toContain(false);
});

test("only an ordinary error of the server's leaves the connection usable", () => {
  const error = (fields: object) => Object.assign(new Error('x'), fields);
  expect(leavesConnectionUsable(error({ code: '23505', severity: 'ERROR' }))).toBe(true);
  expect(leavesConnectionUsable(error({ code: '57P01', severity: 'FATAL' }))).toBe(false);
  expect(leavesConnectionUsable(error({ code: 'ECONNRESET' }))).toBe(false);
  expect(leavesConnectionUsable(error({}))).toBe(false);
});

test("bytes that do not fit a type leave it usable, though their state is a connection's end", () => {
  const error = (fields: object) => Object.assign(new Error('x'), { code: '08P01', ...fields });
  const fields = { severity: 'FEHLER', file: 'pqformat.c' };
  expect(leavesConnectionUsable(error(fields))).toBe(true);
  expect(leavesConnectionUsable(error({ ...fields, file: 'copyfromparse.c' }))).toBe(false);
  expect(leavesConnectionUsable(error({ ...fields, file: undefined }))).toBe(false);
  expect(leavesConnectionUsable(error({ ...fields, code: '08006' }))).toBe(false);
});

describe('a server that speaks another language than English', () => {
  const usable = (code: string, severity: string) =>
    leavesConnectionUsable(Object.assign(new Error('x'), { code, severity }));

  test.each(['23505', '22P02', '40001', '57014', '55P03', 'P0001', '42703'])(
    '%s leaves the connection usable',
    (code) => {
      expect(['ERROR', 'FEHLER', 'ERREUR', 'ОШИБКА'].map((word) => usable(code, word))).not.toContain(false);
    },
  );

  test.each(['57P01', '57P02', '57P03', '57P04', '57P05', '08006', '08P01', '25P03', '25P04'])(
    '%s is the end of the connection',
    (code) => {
      expect(['ERROR', 'FATAL', 'VERHÄNGNISVOLL'].map((word) => usable(code, word))).not.toContain(true);
    },
  );

  test.each(['28P01', '3D000', '53300', '53100', '58030', 'XX000'])(
    '%s counts as the end unless the severity is known to be ERROR',
    (code) => {
      expect(['FATAL', 'PANIC', 'FEHLER', 'PANIK'].map((word) => usable(code, word))).not.toContain(true);
      expect(usable(code, 'ERROR')).toBe(true);
    },
  );

  test('what is fatal stays so, whatever its state', () => {
    expect(usable('40001', 'FATAL')).toBe(false);
  });
});

test('a missing column, table or schema, or what a table does not support, hints at a changed table; other set-up errors do not', () => {
  expect(['0A000', '42703', '42P01', '42P10', '3F000'].every(hintsAtChangedTable)).toBe(true);
  expect(['42501', '28P01', '23505', undefined].some(hintsAtChangedTable)).toBe(false);
});

test('the table of failure classes in the guide is what the code has', () => {
  const guide = readFileSync(new URL('../../../../src/postgres/README.md', import.meta.url), 'utf8');
  const rows = [...guide.matchAll(/^\| (`[^|]*`) \| `(transport|row|setup)` \|/gm)];
  expect(rows).toHaveLength(6);
  const told = new Map(
    rows.flatMap(([, states, found]) =>
      [...states!.matchAll(/`(\w+)`/g)].map(([, state]) => [state!, found]),
    ),
  );
  for (const [state, found] of told)
    expect([state, classify({ code: state.padEnd(5, 'Z') })]).toEqual([state, found]);
  const ownError = new Set(['25P04']);
  expect(Object.keys(SQLSTATE_CLASSES).filter((state) => !told.has(state) && !ownError.has(state))).toEqual(
    [],
  );
});

test('what a load waits for is named for each state that is worth another attempt', () => {
  expect(troubleOf('25006')).toContain('read-only');
  expect(troubleOf('53100')).toContain('disk');
  expect(troubleOf('53300')).toContain('too many');
  expect(troubleOf('55P03')).toBe('a lock');
  expect(troubleOf('40P01')).toBe('other transactions');
  expect([undefined, '08006'].map(troubleOf)).toEqual(['a connection', 'a connection']);
});
