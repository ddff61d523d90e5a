/** Reads the reply subject of a message that JetStream has delivered, which says where it was. Pure. */

export interface Delivery {
  /** The sequence in the stream. */
  readonly position: number;
  /** Counts the messages of the consumer, from 1: it shows whether one has been left out. */
  readonly count: number;
  readonly timestampMs: number;
}

const NANOS_PER_MS = 1_000_000;

/**
 *     $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>
 *     $JS.ACK.<domain>.<account>.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>.<token>
 *
 * @returns undefined for anything else, such as a status of the server
 */
export function readDelivery(reply: string | undefined): Delivery | undefined {
  if (reply?.startsWith('$JS.ACK.') !== true) return undefined;
  const tokens = reply.split('.');
  // The form with a domain has 11 tokens or more.
  const start = tokens.length >= 11 ? 7 : 5;
  if (tokens.length < start + 4) return undefined;
  const position = Number(tokens[start]);
  const count = Number(tokens[start + 1]);
  const timestampMs = Number(tokens[start + 2]) / NANOS_PER_MS;
  if (!Number.isSafeInteger(position) || !Number.isSafeInteger(count)) return undefined;
  return { position, count, timestampMs };
}
