/** Reads the reply subject of a message that JetStream has delivered, which says where it was. Pure. */

export interface Delivery {
  /** The sequence in the stream. */
  readonly position: number;
  /** Counts the messages of the consumer, from 1: it shows whether one has been left out. */
  readonly count: number;
  readonly timestampMs: number;
}

const PREFIX = '$JS.ACK.';
const NANOS_PER_MS = 1_000_000;
/** Of the numbers, behind the prefix: `<stream>.<consumer>.<delivered>` come before them, or with a domain `<domain>.<account>` as well. */
const TOKENS_BEFORE = 3;
const DOMAIN_TOKENS = 2;
/** With a domain there are at least so many dots. */
const DOMAIN_DOTS = 10;

const DOT = 46;
const ZERO = 48;
const NINE = 57;

/**
 *     $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>
 *     $JS.ACK.<domain>.<account>.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>.<token>
 *
 * @returns undefined for anything else, such as a status of the server
 */
export function readDelivery(reply: string | undefined): Delivery | undefined {
  if (reply?.startsWith(PREFIX) !== true) return undefined;
  let dots = 0;
  for (let at = reply.indexOf('.'); at !== -1; at = reply.indexOf('.', at + 1)) dots += 1;
  let at = PREFIX.length;
  const before = dots >= DOMAIN_DOTS ? TOKENS_BEFORE + DOMAIN_TOKENS : TOKENS_BEFORE;
  for (let token = 0; token < before; token += 1) {
    at = reply.indexOf('.', at) + 1;
    if (at === 0) return undefined;
  }
  const position = numberAt(reply, at);
  at = reply.indexOf('.', at) + 1;
  const count = at === 0 ? -1 : numberAt(reply, at);
  at = reply.indexOf('.', at) + 1;
  const nanos = at === 0 ? -1 : numberAt(reply, at);
  if (!isSequence(position) || !isSequence(count) || nanos < 0) return undefined;
  return { position, count, timestampMs: nanos / NANOS_PER_MS };
}

const isSequence = (value: number): boolean => value >= 0 && value <= Number.MAX_SAFE_INTEGER;

/** The number that ends at a dot or at the end. This is done for each message: to split the subject and convert its parts takes five times as long. @returns -1 if it is none */
function numberAt(text: string, start: number): number {
  let value = 0;
  let at = start;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === DOT) break;
    if (code < ZERO || code > NINE) return -1;
    value = value * 10 + (code - ZERO);
  }
  return at === start ? -1 : value;
}
