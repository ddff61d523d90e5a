import { describe, expect, it } from 'vitest';
import {
  LineCheck,
  planFieldChecks,
  type NumberBound,
} from '../../../../../src/postgres/encoding/binary/line-check.js';
import { compileEncoder } from '../../../../../src/postgres/encoding/text/text-encoders.js';

const OIDS: Record<string, string> = {
  int4: '23',
  numeric: '1700',
  float8: '701',
  text: '25',
  varchar: '1043',
  date: '1082',
  timestamptz: '1184',
  uuid: '2950',
  bool: '16',
};

function column(name: string, sqlType = name, typeOid = OIDS[name]!, bounds?: readonly NumberBound[]) {
  const type = { kind: 'scalar', name, category: '' } as const;
  return { type, typeOid, sqlType, bounds, encoder: compileEncoder(type, 'local') };
}

/** Column and text of each doubtful field. */
function doubtsIn(types: readonly string[], line: string, nullText = ''): unknown[] {
  return findingsIn(
    types.map((type) => column(type)),
    line,
    nullText,
  );
}

function findingsIn(columns: readonly ReturnType<typeof column>[], line: string, nullText = ''): unknown[] {
  const check = new LineCheck(planFieldChecks(columns, 'local'), { delimiter: ',', nullText });
  const found: unknown[] = [];
  // Beside the line there is another one.
  const bytes = Buffer.from(`1,1,1\n${line}x,y\n`);
  const start = bytes.indexOf('\n') + 1;
  check.check(bytes, start, start + Buffer.byteLength(line), {
    onDoubt: ({ column: place, text }) => {
      found.push([place, text]);
    },
    onOutOfBounds: () => {
      found.push('out of bounds');
    },
  });
  return found;
}

describe('a check of a line', () => {
  it.each([['1,2001-02-03,a\n'], ['-7,2001-02-03,\n'], [',,\n'], ['1,2001-02-03,ä\r\n'], ['1,2001-02-03\n']])(
    'has no doubt about fields with a certain binary form: %j',
    (line) => {
      expect(doubtsIn(['int4', 'date', 'text'], line)).toEqual([]);
    },
  );

  it.each([
    ['late,2001-02-03,a\n', [[0, 'late']]],
    ['99999999999,2001-02-30,a\n', [[0, '99999999999'], [1, '2001-02-30']]], // prettier-ignore
    ['1.5,03.02.2001,a\n', [[0, '1.5'], [1, '03.02.2001']]], // prettier-ignore
    [' 1,2001-02-03,a\n', [[0, ' 1']]],
  ])('names the others: %j', (line, expected) => {
    expect(doubtsIn(['int4', 'date', 'text'], line)).toEqual(expected);
  });

  it.each(['\n', '\r\n'])('reads the last field up to the line break %j', (lineBreak) => {
    expect(doubtsIn(['text', 'int4'], `a,7${lineBreak}`)).toEqual([]);
    expect(doubtsIn(['text', 'int4'], `a,x7${lineBreak}`)).toEqual([[1, 'x7']]);
    expect(doubtsIn(['text', 'int4'], `a,${lineBreak}`, 'NULL')).toEqual([[1, '']]);
    expect(doubtsIn(['text', 'int4'], `a,NULL${lineBreak}`, 'NULL')).toEqual([]);
  });

  it('takes values that need a string: numbers, identifiers, booleans', () => {
    const types = ['numeric', 'uuid', 'bool'];
    expect(doubtsIn(types, '1.50,00000000-0000-4000-8000-000000000001,t\n')).toEqual([]);
    expect(doubtsIn(types, '1..5,no,perhaps\n')).toEqual([
      [0, '1..5'],
      [1, 'no'],
      [2, 'perhaps'],
    ]);
  });
});

describe('a number', () => {
  const bounded = (type: string, ...bounds: NumberBound[]) => [
    column(type, type, undefined, bounds),
    column('text'),
  ];

  it.each([
    ['>=', '0', true],
    ['>=', '-1', false],
    ['>', '0', false],
    ['>', '1', true],
    ['<=', '0', true],
    ['<=', '1', false],
    ['<', '-1', true],
    ['<', '0', false],
  ] as const)('that is to be %s 0: %s', (operator, text, isWithin) => {
    const columns = bounded('int4', { operator, value: 0 });
    expect(findingsIn(columns, `${text},a\n`)).toEqual(isWithin ? [] : ['out of bounds']);
  });

  it('with decimals is read, too', () => {
    const bound: NumberBound = { operator: '<', value: 1.5 };
    expect(findingsIn(bounded('numeric', bound), '1.49,a\n')).toEqual([]);
    expect(findingsIn(bounded('numeric', bound), '1.50,a\n')).toEqual(['out of bounds']);
    expect(findingsIn(bounded('float8', bound), '2.5,a\n')).toEqual(['out of bounds']);
  });

  it('is not looked for in a field that is NULL, or that is none', () => {
    const columns = bounded('int4', { operator: '>', value: 0 });
    expect(findingsIn(columns, ',a\n')).toEqual([]);
    expect(findingsIn(columns, '-,a\n')).toEqual([[0, '-']]);
  });

  it('at the end of a line is looked at', () => {
    expect(findingsIn(bounded('int4', { operator: '>', value: 0 }).toReversed(), 'a,0\r\n')).toEqual([
      'out of bounds',
    ]);
  });
});

describe('the checked columns', () => {
  it.each([
    [
      'end before a type that is not known here',
      [column('int4'), column('varchar', 'character varying(3)'), column('int4')],
      ['int4'],
    ],
    ['end before a number with a precision', [column('int4'), column('numeric', 'numeric(5,2)')], ['int4']],
    ['end before a domain', [column('int4'), column('int4', 'public.positive', '16400')], ['int4']],
    ['are none if only texts come first', [column('text'), column('varchar'), column('int4')], []],
    ['are those up to the last that has faults', [column('text'), column('date')], ['text', 'date']],
  ])('%s', (_, columns, expected) => {
    expect(planFieldChecks(columns, 'local').map(({ sqlType }) => sqlType)).toEqual(expected);
  });
});
