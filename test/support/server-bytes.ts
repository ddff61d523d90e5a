/** Messages of a PostgreSQL server, as bytes. */

export function message(type: string, ...parts: (Buffer | string | number)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return int32(part);
      return typeof part === 'string' ? Buffer.from(`${part}\0`) : part;
    }),
  );
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

const zero = Buffer.from([0]);

/** A field of an error or a notice. */
function field(letter: string, text: string): Buffer {
  return Buffer.concat([Buffer.from(letter), Buffer.from(`${text}\0`)]);
}

export function report(type: 'E' | 'N', code: string, text: string, severity = 'ERROR'): Buffer {
  return message(type, field('S', severity), field('V', severity), field('C', code), field('M', text), zero);
}

export const ready = (status = 'I'): Buffer => message('Z', Buffer.from(status));

export const rowDescription = (...names: string[]): Buffer =>
  message(
    'T',
    int16(names.length),
    ...names.map((name) =>
      Buffer.concat([
        Buffer.from(`${name}\0`),
        int32(0),
        int16(0),
        int32(25),
        int16(-1),
        int32(-1),
        int16(0),
      ]),
    ),
  );

export const dataRow = (...values: (string | null)[]): Buffer =>
  message(
    'D',
    int16(values.length),
    ...values.map((value) =>
      value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
    ),
  );

/** Each kind of message that a server can send, well formed, by its name. */
export const MESSAGES = {
  AuthenticationOk: message('R', 0),
  CleartextPassword: message('R', 3),
  MD5Password: message('R', 5, Buffer.from('salt')),
  GSS: message('R', 7),
  SASL: message('R', 10, 'SCRAM-SHA-256', zero),
  SASLContinue: message('R', 11, Buffer.from('r=x,s=eA==,i=4096')),
  SASLFinal: message('R', 12, Buffer.from('v=eA==')),
  BackendKeyData: message('K', 1, 2),
  ParameterStatus: message('S', 'TimeZone', 'UTC'),
  NoticeResponse: report('N', '00000', 'well', 'NOTICE'),
  NotificationResponse: message('A', 1, 'channel', 'payload'),
  ErrorResponse: report('E', '57014', 'cancelled'),
  ReadyForQuery: ready(),
  RowDescription: rowDescription('a'),
  DataRow: dataRow('1'),
  CommandComplete: message('C', 'SELECT 1'),
  EmptyQueryResponse: message('I'),
  ParseComplete: message('1'),
  BindComplete: message('2'),
  CloseComplete: message('3'),
  NoData: message('n'),
  PortalSuspended: message('s'),
  ParameterDescription: message('t', int16(1), 25),
  CopyInResponse: message('G', zero, int16(1), int16(0)),
  CopyOutResponse: message('H', zero, int16(1), int16(0)),
  CopyBothResponse: message('W', zero, int16(1), int16(0)),
  CopyData: message('d', Buffer.from('1\n')),
  CopyDone: message('c'),
  FunctionCallResponse: message('V', -1),
  NegotiateProtocolVersion: message('v', 0, 0),
  Unknown: message('!', 1),
} as const;

export type NamedMessage = keyof typeof MESSAGES;
