import { describe, expect, test } from 'vitest';
import {
  ProtocolGuard,
  SMALL_ANSWER,
  TRANSITIONS,
  type ProtocolState,
} from '../../../../src/postgres/protocol/protocol-guard.js';
import { ProtocolFault } from '../../../../src/postgres/protocol/protocol-fault.js';
import {
  dataRow,
  int16,
  MESSAGES,
  message,
  ready,
  report,
  rowDescription,
  type NamedMessage,
} from '../../../support/server-bytes.js';

/** Fed with messages: the last answer. */
function feed(guard: ProtocolGuard, ...bytes: Buffer[]): ProtocolFault | undefined {
  let fault: ProtocolFault | undefined;
  for (const one of bytes) {
    fault = guard.check(one[0]!, one.readUInt32BE(1)) ?? guard.accept(one, 0, one.length);
    if (fault !== undefined) return fault;
  }
  return fault;
}

const M = MESSAGES;

const login = (...bytes: Buffer[]) => {
  const guard = new ProtocolGuard('startup');
  feed(guard, ...bytes);
  return guard;
};

const ours = (kind: 'query' | 'copyQuery' | 'sentCopy' | 'parse', ...bytes: Buffer[]) => {
  const guard = new ProtocolGuard('foreign');
  guard.begin(kind);
  expect(feed(guard, ...bytes)).toBeUndefined();
  return guard;
};

/** How each state is reached, and all that it takes but for what is legal at any time. Written from the manual, not from the table. */
const STATES: Record<ProtocolState, { reach: () => ProtocolGuard; takes: NamedMessage[] }> = {
  startup: {
    reach: () => login(),
    takes: ['AuthenticationOk', 'CleartextPassword', 'MD5Password', 'SASL', 'ErrorResponse'],
  },
  password: { reach: () => login(M.MD5Password), takes: ['AuthenticationOk', 'ErrorResponse'] },
  sasl: { reach: () => login(M.SASL), takes: ['SASLContinue', 'ErrorResponse'] },
  saslContinued: { reach: () => login(M.SASL, M.SASLContinue), takes: ['SASLFinal', 'ErrorResponse'] },
  saslFinal: {
    reach: () => login(M.SASL, M.SASLContinue, M.SASLFinal),
    takes: ['AuthenticationOk', 'ErrorResponse'],
  },
  welcomed: {
    reach: () => login(M.AuthenticationOk),
    takes: ['BackendKeyData', 'ReadyForQuery', 'ErrorResponse'],
  },
  ended: { reach: () => login(M.ErrorResponse), takes: [] },
  foreign: {
    reach: () => login(M.AuthenticationOk, M.ReadyForQuery),
    takes: (Object.keys(M) as NamedMessage[]).filter(
      (name) =>
        !/^(Authentication|Cleartext|MD5|GSS|SASL|BackendKey|CopyBoth|FunctionCall|Negotiate|Unknown)/.test(
          name,
        ),
    ),
  },
  idle: { reach: () => ours('query', M.CommandComplete, M.ReadyForQuery), takes: ['ErrorResponse'] },
  query: {
    reach: () => ours('query'),
    takes: ['RowDescription', 'CommandComplete', 'EmptyQueryResponse', 'ErrorResponse'],
  },
  rows: {
    reach: () => ours('query', M.RowDescription),
    takes: ['DataRow', 'CommandComplete', 'ErrorResponse'],
  },
  complete: {
    reach: () => ours('query', M.RowDescription, M.DataRow, M.CommandComplete),
    takes: ['RowDescription', 'CommandComplete', 'EmptyQueryResponse', 'ReadyForQuery', 'ErrorResponse'],
  },
  copyQuery: {
    reach: () => ours('copyQuery', M.CommandComplete),
    takes: ['CommandComplete', 'CopyInResponse', 'ErrorResponse'],
  },
  copyIn: { reach: () => ours('copyQuery', M.CopyInResponse), takes: ['ErrorResponse'] },
  sentCopy: {
    reach: () => ours('sentCopy'),
    takes: ['CommandComplete', 'CopyInResponse', 'ErrorResponse'],
  },
  copyEnding: {
    reach: () => ours('sentCopy', M.CopyInResponse),
    takes: ['CommandComplete', 'ErrorResponse'],
  },
  parse: { reach: () => ours('parse'), takes: ['ParseComplete', 'ErrorResponse'] },
  bind: { reach: () => ours('parse', M.ParseComplete), takes: ['BindComplete', 'ErrorResponse'] },
  describe: {
    reach: () => ours('parse', M.ParseComplete, M.BindComplete),
    takes: ['RowDescription', 'NoData', 'ErrorResponse'],
  },
  execute: {
    reach: () => ours('parse', M.ParseComplete, M.BindComplete, M.NoData),
    takes: ['CommandComplete', 'EmptyQueryResponse', 'ErrorResponse'],
  },
  executeRows: {
    reach: () => ours('parse', M.ParseComplete, M.BindComplete, M.RowDescription),
    takes: ['DataRow', 'CommandComplete', 'ErrorResponse'],
  },
  done: {
    reach: () => ours('parse', M.ParseComplete, M.BindComplete, M.NoData, M.CommandComplete),
    takes: ['ReadyForQuery', 'ErrorResponse'],
  },
  failed: { reach: () => ours('query', M.ErrorResponse), takes: ['ReadyForQuery', 'ErrorResponse'] },
};

const LOGIN: ProtocolState[] = ['startup', 'password', 'sasl', 'saslContinued', 'saslFinal'];

describe('each state × each message', () => {
  test.each(Object.entries(STATES))(
    '%s takes what the protocol has for it, and nothing else',
    (state, row) => {
      const taken = (Object.keys(M) as NamedMessage[]).filter(
        (name) => feed(row.reach(), M[name]) === undefined,
      );
      const always: NamedMessage[] = ['ParameterStatus', 'NoticeResponse', 'NotificationResponse'];
      const asides =
        state === 'ended' ? [] : LOGIN.includes(state as ProtocolState) ? always.slice(0, 2) : always;
      expect(row.reach().state).toBe(state);
      expect(new Set(taken)).toEqual(new Set([...row.takes, ...asides]));
    },
  );

  test('no state is left out', () => {
    expect(Object.keys(STATES).sort()).toEqual(Object.keys(TRANSITIONS).sort());
  });
});

test('a fault names the message and when it came', () => {
  expect(feed(ours('copyQuery', M.CopyInResponse), M.DataRow)).toMatchObject({
    name: 'ProtocolFault',
    code: 'ERR_BACKPRESSURE_PROTOCOL',
    message: 'the server broke the protocol: DataRow during COPY IN',
  });
});

test('a COPY whose end is sent before the server has asked for rows is complete after both answers', () => {
  const guard = ours('copyQuery', M.CommandComplete);
  guard.endCopy();
  expect(feed(guard, M.CopyInResponse, message('C', 'COPY 1'), ready('T'))).toBeUndefined();
  expect(guard.state).toBe('idle');
});

describe('malformed messages are refused before node-postgres sees them', () => {
  const inRows = () => ours('query', M.RowDescription);
  test.each<[string, () => ProtocolGuard, Buffer]>([
    ['a text without its zero', inRows, message('C', Buffer.from('SELECT 1'))],
    ['bytes behind a text', inRows, message('C', 'SELECT 1', 'more')],
    ['an error without its end', inRows, message('E', Buffer.from('SERROR'))],
    ['an error of no fields and no end', inRows, message('E')],
    ['a row with more columns than described', inRows, dataRow('1', '2')],
    ['a row with fewer values than counted', inRows, message('D', int16(1))],
    ['a value that is longer than its row', inRows, message('D', int16(1), 100)],
    ['a value of negative length', inRows, message('D', int16(1), -2)],
    ['a negative number of columns', inRows, message('D', int16(-1))],
    ['a description that is cut', () => ours('query'), message('T', int16(2), 'a')],
    [
      'a state of transaction that is none',
      () => ours('query', M.CommandComplete),
      message('Z', Buffer.from('?')),
    ],
    ['ReadyForQuery without a state', () => ours('query', M.CommandComplete), message('Z')],
    ['a mechanism without its zero', () => login(), message('R', 10, Buffer.from('SCRAM'))],
    ['an authentication request of no kind', () => login(), message('R')],
    ['a salt that is cut', () => login(), message('R', 5, Buffer.from('s'))],
    ['a key that is cut', () => login(M.AuthenticationOk), message('K', 1)],
    ['a parameter without a value', inRows, message('S', 'TimeZone')],
    ['a notification without a payload', inRows, message('A', 1, 'channel')],
    [
      'COPY with fewer columns than counted',
      () => ours('copyQuery'),
      message('G', Buffer.from([0]), int16(3)),
    ],
  ])('%s', (_name, reach, bytes) => {
    expect(feed(reach(), bytes)).toBeInstanceOf(ProtocolFault);
  });

  test.each([0, 3, 0x80000000, 0xffffffff])('a length of %i', (length) => {
    expect(ours('query').check(0x45, length)).toBeInstanceOf(ProtocolFault);
    expect(new ProtocolGuard('foreign').check(0x44, length)).toBeInstanceOf(ProtocolFault);
  });
});

describe('answers are bounded', () => {
  test('a header that announces more than an answer of ours may hold is refused', () => {
    const guard = ours('query', M.RowDescription);
    expect(guard.check(0x44, SMALL_ANSWER.bytes + 5)).toBeInstanceOf(ProtocolFault);
  });

  test('rows in small messages, in all, too', () => {
    const guard = new ProtocolGuard('foreign');
    guard.begin('query', { rows: 1_000, bytes: 1_000 });
    const row = dataRow('x'.repeat(100));
    expect(feed(guard, rowDescription('a'), ...Array.from({ length: 9 }, () => row))).toBeUndefined();
    expect(feed(guard, row)).toBeInstanceOf(ProtocolFault);
  });

  test('by their number, however small', () => {
    const guard = new ProtocolGuard('foreign');
    guard.begin('query', { rows: 3, bytes: 1_000 });
    expect(feed(guard, rowDescription(), dataRow(), dataRow(), dataRow())).toBeUndefined();
    expect(feed(guard, dataRow())).toBeInstanceOf(ProtocolFault);
  });

  test('an error may quote what was sent, and hardly more', () => {
    let sent = 0;
    const guard = new ProtocolGuard('foreign', () => sent);
    guard.begin('query');
    const long = report('E', '22P02', 'x'.repeat(20 * 1024 * 1024));
    expect(feed(guard, long)).toBeInstanceOf(ProtocolFault);
    sent = 20 * 1024 * 1024;
    expect(feed(guard, long)).toBeUndefined();
  });

  const text = 'x'.repeat(60 * 1024);
  test.each([
    ['notices', report('N', '00000', text, 'NOTICE')],
    ['parameters', message('S', 'name', text)],
    ['notifications', message('A', 1, 'channel', text)],
  ])('a flood of %s ends, in a statement and in a login', (_name, aside) => {
    const most = Math.ceil((65 * 1024 * 1024) / aside.length);
    const taken = (guard: ProtocolGuard): number => {
      let count = 0;
      while (count < most && feed(guard, aside) === undefined) count += 1;
      return count;
    };
    expect(taken(ours('query'))).toBeLessThan(most);
    expect(taken(login(M.AuthenticationOk))).toBeLessThan(most);
  });
});

test('where a method of authentication is demanded, no other is answered', () => {
  const answers = (...bytes: Buffer[]) =>
    feed(new ProtocolGuard('startup', () => 0, new Set(['scram-sha-256'] as const)), ...bytes);
  expect(answers(M.CleartextPassword)?.message).toContain('asks for the method password');
  expect(answers(M.MD5Password)?.message).toContain('asks for the method md5');
  expect(answers(M.AuthenticationOk)?.message).toContain('without a proof');
  expect(answers(M.SASL, M.AuthenticationOk)).toBeInstanceOf(ProtocolFault);
  expect(answers(M.SASL, M.SASLContinue, M.SASLFinal, M.AuthenticationOk)).toBeUndefined();
});
