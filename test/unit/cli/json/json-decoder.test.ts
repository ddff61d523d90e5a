/** JSON in other encodings than UTF-8, which its first bytes say. */

import { describe, expect, it } from 'vitest';
import { InputError } from '../../../../src/cli/common/errors.js';
import { JsonDecoder, jsonEncodingOf } from '../../../../src/cli/json/json-decoder.js';

const FILE = { name: 'f', path: undefined, sizeBytes: undefined };

function utf32(text: string, isLittleEndian: boolean): Buffer {
  const codes = Array.from(text, (character) => character.codePointAt(0)!);
  const bytes = Buffer.alloc(4 * codes.length);
  codes.forEach((code, at) =>
    isLittleEndian ? bytes.writeUInt32LE(code, 4 * at) : bytes.writeUInt32BE(code, 4 * at),
  );
  return bytes;
}

const ENCODE: Readonly<Record<string, (text: string) => Buffer>> = {
  'utf-8': (text) => Buffer.from(text),
  'utf-16le': (text) => Buffer.from(text, 'utf16le'),
  'utf-16be': (text) => Buffer.from(text, 'utf16le').swap16(),
  'utf-32le': (text) => utf32(text, true),
  'utf-32be': (text) => utf32(text, false),
};

function decode(bytes: Buffer, chunkBytes: number, encoding?: string): string {
  const decoder = new JsonDecoder(FILE, encoding);
  const decoded: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes)
    decoded.push(Buffer.from(decoder.convert(bytes.subarray(at, at + chunkBytes), false)));
  decoded.push(decoder.convert(Buffer.alloc(0), true));
  return Buffer.concat(decoded).toString();
}

describe.each(Object.keys(ENCODE))('%s', (encoding) => {
  const encode = ENCODE[encoding]!;

  it.each(['{"a":"ä😀"}\n', '[\n1]', ' {}', '"x"', '\u001e{}', '{', ''])('is recognised: %j', (text) => {
    const expected = text === '' ? 'utf-8' : encoding;
    expect(jsonEncodingOf(encode(text))).toBe(expected);
  });

  it.each([1, 2, 3, 5, 1000])('is decoded in chunks of %i bytes, with and without a mark', (chunkBytes) => {
    const text = '{"a":"ä😀","b":[1.50]}\n{"a":"中"}\n';
    expect(decode(encode(text), chunkBytes)).toBe(text);
    const marked = decode(encode(`\ufeff${text}`), chunkBytes);
    expect(marked.replace(/^\ufeff/, '')).toBe(text);
  });
});

it('UTF-8 is passed on as it is', () => {
  const bytes = Buffer.from('{"a":1}\n');
  expect(new JsonDecoder(FILE, undefined).convert(bytes, true)).toBe(bytes);
});

it('an encoding that is given is taken', () => {
  expect(decode(Buffer.from('{"a":"\xe9"}', 'latin1'), 3, 'windows-1252')).toBe('{"a":"é"}');
});

it.each<[string, Buffer]>([
  ['half of a surrogate pair', Buffer.from('{}\n{"a":"\ud800"}\n', 'utf16le')],
  ['half of a character at the end', Buffer.concat([Buffer.from('{}\n{}', 'utf16le'), Buffer.of(0x41)])],
  ['a number beyond all characters', Buffer.concat([utf32('{}\n', true), Buffer.of(0, 0, 0x20, 0)])],
  ['a surrogate in UTF-32', Buffer.concat([utf32('{}\n', true), Buffer.of(0, 0xd8, 0, 0)])],
])('%s is an error with its line', (_, bytes) => {
  expect(() => decode(bytes, 1000)).toThrow(InputError);
  expect(() => decode(bytes, 1000)).toThrow(
    /^f:2: a byte is not utf-(16le|32le), as the beginning .* give --encoding$/,
  );
});
