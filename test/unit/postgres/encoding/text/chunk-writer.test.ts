import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkWriter, escapeText } from '../../../../../src/postgres/encoding/text/chunk-writer.js';

function written(write: (writer: ChunkWriter) => void): string {
  const writer = new ChunkWriter();
  write(writer);
  return writer.take().toString('utf8');
}

/** COPY's text format, read as the manual says. */
function unescape(text: string): string {
  const letters: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
  return text.replace(/\\(.)/gs, (_all, character: string) => letters[character] ?? character);
}

const storable = fc
  .string({ unit: 'binary', maxLength: 200 })
  .map((text) => text.replaceAll('\0', ''))
  .filter((text) => text.isWellFormed());

describe('text', () => {
  test('reads back as it was, and never breaks its row', () => {
    fc.assert(
      fc.property(storable, (text) => {
        const sent = written((writer) => {
          writer.writeText(text);
        });
        expect(sent).toBe(escapeText(text));
        expect(unescape(sent)).toBe(text);
        expect(sent).not.toMatch(/[\t\n\r]/);
      }),
    );
  });

  test('every character that a row is made of is escaped, in short texts and in long ones', () => {
    for (let code = 1; code < 256; code += 1) {
      for (const text of [
        `a${String.fromCharCode(code)}b`,
        `${'a'.repeat(100)}${String.fromCharCode(code)}`,
      ]) {
        const sent = written((writer) => {
          writer.writeText(text);
        });
        expect(unescape(sent)).toBe(text);
        expect(sent).not.toMatch(/[\t\n\r]/);
      }
    }
  });

  test.each(['\0', 'x\0', `${'x'.repeat(100)}\0`])('U+0000 is refused', (text) => {
    expect(() => written((writer) => writer.writeText(text))).toThrow(/U\+0000/);
  });

  test.each(['\ud800', 'x\udc00', `${'é'.repeat(100)}\ud83c`, '\udf89\ud83c'])(
    'half a surrogate pair is refused',
    (text) => {
      expect(() => written((writer) => writer.writeText(text))).toThrow(/surrogate/);
    },
  );
});

describe('a text longer than one piece', () => {
  const PIECE = 1024 * 1024;

  test.each([
    ['a line end', '\n'],
    ['a backslash', '\\'],
    ['an accent', 'é'],
    ['a surrogate pair', '🎉'],
  ])('%s at a boundary between pieces is written as elsewhere', (_name, character) => {
    for (let before = PIECE - 3; before <= PIECE + 1; before += 1) {
      const text = `${'x'.repeat(before)}${character}${'y'.repeat(PIECE - 3)}${character}${character}z`;
      const sent = written((writer) => {
        writer.writeText(text);
      });
      // Not toBe(): a difference in megabytes takes minutes to show.
      expect(sent === escapeText(text)).toBe(true);
      expect(unescape(sent) === text).toBe(true);
    }
  });

  test('pairs all over, shifted by one, come out whole', () => {
    for (const prefix of ['', 'x']) {
      const text = prefix + '🎉\n'.repeat(PIECE);
      const sent = written((writer) => {
        writer.writeText(text);
      });
      expect(sent === prefix + '🎉\\n'.repeat(PIECE)).toBe(true);
    }
  });
});

test('integers of 32 bits are written as String() does', () => {
  const check = (value: number) => {
    expect(written((writer) => writer.writeInt32(value))).toBe(String(value));
  };
  for (const value of [0, 1, 9, 10, 99, 100, 2147483647, -1, -10, -2147483648]) check(value);
  for (let digits = 1; digits < 10; digits += 1) {
    check(10 ** digits);
    check(10 ** digits - 1);
  }
  fc.assert(fc.property(fc.integer(), check));
});

test('the time of day is written as toISOString() does', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 86_399_999 }), (milliseconds) => {
      const iso = new Date(milliseconds).toISOString().slice(11, -1);
      const sent = written((writer) => writer.writeTimeOfDay(milliseconds));
      expect(sent.length === 8 ? `${sent}.000` : sent).toBe(iso);
    }),
  );
});

test('bytes are written in hexadecimal, in pieces where they are many', () => {
  const large = Buffer.alloc(2 * 1024 * 1024 + 3, 0xab);
  expect(written((writer) => writer.writeHex(large))).toBe(`\\\\x${large.toString('hex')}`);
  expect(written((writer) => writer.writeHex(new Uint8Array([1, 2, 255]).subarray(1)))).toBe('\\\\x02ff');
});

test('a chunk grows with what is put into it, wherever its end falls', () => {
  const text = 'é'.repeat(50_000);
  for (let start = 71_000; start < 74_000; start += 37) {
    const sent = written((writer) => {
      writer.writePlain('x'.repeat(start));
      writer.writeNull();
      writer.endField();
      writer.writeInt32(-2147483648);
      writer.endField();
      writer.writeTimeOfDay(1);
      writer.endField();
      writer.writeText(text);
      writer.endField();
      writer.endRow();
    });
    expect(sent).toBe(`${'x'.repeat(start)}\\N\t-2147483648\t00:00:00.001\t${text}\n`);
  }
});

test('what was taken stays as it was', () => {
  const writer = new ChunkWriter();
  writer.writeText('first');
  const first = writer.take();
  writer.writeText('second');
  expect(first.toString()).toBe('first');
  expect(writer.take().toString()).toBe('second');
  expect(writer.length).toBe(0);
});
