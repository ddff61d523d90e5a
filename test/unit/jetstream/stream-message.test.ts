import { headers as makeHeaders, type Msg } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { MessageKeeper } from '../../../src/jetstream/stream-message.js';

const delivery = { position: 7, count: 1, timestampMs: 1_700_000_000_123.456 };
const REPLY = '$JS.ACK.S.c.1.7.1.1700000000123456000.0';

/** A message as the client hands it out. `read` counts how often its headers were parsed. */
function handedOut(body: Uint8Array, { headerBytes = 0, subject = 's' } = {}): Msg & { parsed: number } {
  const message = {
    subject,
    reply: REPLY,
    data: body,
    parsed: 0,
    size: () => Buffer.byteLength(subject) + REPLY.length + headerBytes + body.length,
    get headers() {
      message.parsed += 1;
      if (headerBytes === 0) return undefined;
      const found = makeHeaders();
      found.append('Trace', 'a');
      found.append('Trace', 'b');
      return found;
    },
  };
  return message as unknown as Msg & { parsed: number };
}

describe('a kept message', () => {
  it('has position, lane, subject, time and body of its own', () => {
    const keeper = new MessageKeeper(3);
    const bodies = ['{"a":1}', '', '[true]'].map((text) => Buffer.from(text));
    const kept = bodies.map((body) => keeper.keep(handedOut(body), delivery));
    // What the client has read next into the same memory.
    for (const body of bodies) body.fill(0);
    expect(kept.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(['{"a":1}', '', '[true]']);
    expect(kept[0]!.json()).toEqual({ a: 1 });
    expect(kept[0]!.json()).not.toBe(kept[0]!.json());
    expect(() => kept[1]!.json()).toThrow(SyntaxError);
    expect(kept[2]).toMatchObject({ position: 7, lane: 3, subject: 's', headers: undefined });
    expect(kept[2]!.timestamp).toEqual(new Date(1_700_000_000_123));
  });

  it('keeps its body among thousands of others, small and large', () => {
    const keeper = new MessageKeeper(0);
    const sizes = Array.from({ length: 3_000 }, (_, n) => (n % 100 === 0 ? 100_000 : (n * 37) % 4_200));
    const kept = sizes.map((size, n) => keeper.keep(handedOut(Buffer.alloc(size, n % 251)), delivery));
    kept.forEach(({ bytes }, n) => {
      expect(bytes.length).toBe(sizes[n]);
      expect(Buffer.from(bytes).equals(Buffer.alloc(sizes[n]!, n % 251))).toBe(true);
    });
  });

  it('has its subject, if each is another one', () => {
    const keeper = new MessageKeeper(0);
    const subjects = ['a.1', 'a.1', 'a.2', 'ä.3', 'a.1'];
    const kept = subjects.map((subject) => keeper.keep(handedOut(Buffer.from('1'), { subject }), delivery));
    expect(kept.map(({ subject }) => subject)).toEqual(subjects);
  });

  it('has headers with all of their values, which are parsed only if they are asked for', () => {
    const message = handedOut(Buffer.from('1'), { headerBytes: 30 });
    const kept = new MessageKeeper(0).keep(message, delivery);
    expect(kept.json()).toBe(1);
    expect(message.parsed).toBe(0);
    expect(kept.headers).toEqual({ Trace: ['a', 'b'] });
  });

  it('has its headers, too, if the client does not say how large a message is', () => {
    const message = handedOut(Buffer.from('1'), { headerBytes: 30 });
    Object.assign(message, { size: undefined });
    expect(new MessageKeeper(0).keep(message, delivery).headers).toEqual({ Trace: ['a', 'b'] });
  });

  it('is refused as JSON if it is not UTF-8, but not for a U+FFFD of its own', () => {
    const keeper = new MessageKeeper(0);
    const bad = keeper.keep(handedOut(Buffer.from([0x22, 0xff, 0x22])), delivery);
    expect(() => bad.json()).toThrow('not UTF-8');
    const good = keeper.keep(handedOut(Buffer.from('"\ufffd"')), delivery);
    expect(good.json()).toBe('\ufffd');
  });
});
