/**
 * Messages of a PostgreSQL server: their names by the byte that begins them, and whether their bodies are whole.
 *
 * node-postgres' parser trusts the server: a text without its final zero makes it loop for ever, a count that is too high makes it throw in
 * the socket's handler, and a length of a gigabyte makes it wait and buffer. So each message is checked before the parser sees it. Pure.
 *
 * Layout: type (1 byte), length (4 bytes, counts itself but not the type), body. Source: PostgreSQL manual, "Message Formats".
 */

export const HEADER_BYTES = 5;

export type MessageName =
  | 'Authentication'
  | 'BackendKeyData'
  | 'BindComplete'
  | 'CloseComplete'
  | 'CommandComplete'
  | 'CopyBothResponse'
  | 'CopyData'
  | 'CopyDone'
  | 'CopyInResponse'
  | 'CopyOutResponse'
  | 'DataRow'
  | 'EmptyQueryResponse'
  | 'ErrorResponse'
  | 'FunctionCallResponse'
  | 'NegotiateProtocolVersion'
  | 'NoData'
  | 'NoticeResponse'
  | 'NotificationResponse'
  | 'ParameterDescription'
  | 'ParameterStatus'
  | 'ParseComplete'
  | 'PortalSuspended'
  | 'ReadyForQuery'
  | 'RowDescription';

const KIB = 1024;

interface MessageKind {
  readonly name: MessageName;
  /** The longest body that a server can have a reason for. `'quoting'`: it may quote what was sent. `'data'`: as long as the protocol allows. */
  readonly longest: number | 'quoting' | 'data';
  /** Whether a body, from `start` to `end`, is whole. */
  readonly isWhole: (bytes: Buffer, start: number, end: number) => boolean;
}

const empty = (_bytes: Buffer, start: number, end: number): boolean => start === end;
const anything = (): boolean => true;

/** `count` texts that end with a zero, and nothing after them. */
const texts =
  (count: number, after = 0) =>
  (bytes: Buffer, start: number, end: number): boolean => {
    let at = start + after;
    for (let left = count; left > 0; left -= 1) at = afterText(bytes, at, end);
    return at === end;
  };

/** Fields of one byte and a text, until a zero. */
function isReport(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end && bytes[at] !== 0) at = afterText(bytes, at + 1, end);
  return at === end - 1;
}

function isRowDescription(bytes: Buffer, start: number, end: number): boolean {
  const count = int16(bytes, start, end);
  let at = start + 2;
  for (let left = count; left > 0 && at <= end; left -= 1) at = afterText(bytes, at, end) + 18;
  return count >= 0 && at === end;
}

function isDataRow(bytes: Buffer, start: number, end: number): boolean {
  const count = int16(bytes, start, end);
  let at = start + 2;
  for (let left = count; left > 0; left -= 1) {
    if (at + 4 > end) return false;
    const length = bytes.readInt32BE(at);
    if (length < -1) return false;
    at += 4 + Math.max(0, length);
  }
  return count >= 0 && at === end;
}

function isCopyResponse(bytes: Buffer, start: number, end: number): boolean {
  const count = int16(bytes, start + 1, end);
  return count >= 0 && end === start + 3 + 2 * count;
}

function isParameterDescription(bytes: Buffer, start: number, end: number): boolean {
  const count = int16(bytes, start, end);
  return count >= 0 && end === start + 2 + 4 * count;
}

/** The texts of SASL's mechanisms end with an empty one; other requests have a body of a fixed length, or a free one. */
function isAuthentication(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < 4) return false;
  switch (bytes.readInt32BE(start)) {
    case 0:
    case 3:
      return end - start === 4;
    case 5:
      return end - start === 8;
    case 10: {
      let at = start + 4;
      while (at < end && bytes[at] !== 0) at = afterText(bytes, at, end);
      return at === end - 1;
    }
    default:
      return true;
  }
}

const isReady = (bytes: Buffer, start: number, end: number): boolean =>
  end === start + 1 && (bytes[start] === 0x49 || bytes[start] === 0x54 || bytes[start] === 0x45);

const kind = (
  name: MessageName,
  longest: MessageKind['longest'],
  isWhole: MessageKind['isWhole'],
): MessageKind => ({ name, longest, isWhole });

const KINDS: ReadonlyMap<number, MessageKind> = new Map(
  Object.entries({
    '1': kind('ParseComplete', 0, empty),
    '2': kind('BindComplete', 0, empty),
    '3': kind('CloseComplete', 0, empty),
    A: kind('NotificationResponse', 'quoting', texts(2, 4)),
    C: kind('CommandComplete', KIB, texts(1)),
    D: kind('DataRow', 'data', isDataRow),
    E: kind('ErrorResponse', 'quoting', isReport),
    G: kind('CopyInResponse', 64 * KIB, isCopyResponse),
    H: kind('CopyOutResponse', 64 * KIB, isCopyResponse),
    I: kind('EmptyQueryResponse', 0, empty),
    K: kind('BackendKeyData', 512, (_bytes, start, end) => end - start >= 8),
    N: kind('NoticeResponse', 'quoting', isReport),
    R: kind('Authentication', 64 * KIB, isAuthentication),
    S: kind('ParameterStatus', 64 * KIB, texts(2)),
    T: kind('RowDescription', 1024 * KIB, isRowDescription),
    V: kind('FunctionCallResponse', 'data', anything),
    W: kind('CopyBothResponse', 64 * KIB, isCopyResponse),
    Z: kind('ReadyForQuery', 1, isReady),
    c: kind('CopyDone', 0, empty),
    d: kind('CopyData', 'data', anything),
    n: kind('NoData', 0, empty),
    s: kind('PortalSuspended', 0, empty),
    t: kind('ParameterDescription', 512 * KIB, isParameterDescription),
    v: kind('NegotiateProtocolVersion', 64 * KIB, anything),
  }).map(([letter, found]) => [letter.charCodeAt(0), found]),
);

/** Returns `undefined` for a type that no server sends. */
export function messageKind(type: number): MessageKind | undefined {
  return KINDS.get(type);
}

/** Returns the place behind the text that begins at `at`, and behind its zero. Infinity if it has none before `end`. */
function afterText(bytes: Buffer, at: number, end: number): number {
  const zero = at < end ? bytes.indexOf(0, at) : -1;
  return zero === -1 || zero >= end ? Infinity : zero + 1;
}

function int16(bytes: Buffer, at: number, end: number): number {
  return at + 2 > end ? -1 : bytes.readInt16BE(at);
}
