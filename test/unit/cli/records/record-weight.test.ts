import { MIB } from '../../../../src/common/bytes.js';
import { describe, expect, it } from 'vitest';
import { divideByWeight, mostValues } from '../../../../src/cli/records/record-weight.js';

function divided(text: string, maxRecordBytes = 16 * MIB): [string, number][] {
  const parts: [string, number][] = [];
  divideByWeight(
    Buffer.from(text),
    maxRecordBytes,
    (block) => parts.push(['whole', block.length]),
    (fault, line) => parts.push([fault, line.length]),
  );
  return parts;
}

const list = (length: number) => `{"a":[${'1,'.repeat(length - 4)}1]}\n`;

describe('the weight of a JSON record', () => {
  it('is that of its values and keys, up to one for 16 bytes of the longest record', () => {
    expect(mostValues(16 * MIB)).toBe(MIB);
    expect(divided(list(MIB))).toEqual([['whole', list(MIB).length]]);
    expect(divided(list(MIB + 2))).toEqual([['too_many_values', list(MIB + 2).length]]);
    expect(divided(list(MIB + 2), 64 * MIB)).toEqual([['whole', list(MIB + 2).length]]);
  });

  it('does not count what is in strings', () => {
    const text = `{"a":"${',[{\\":'.repeat(MIB)}"}\n`;
    expect(divided(text)).toEqual([['whole', text.length]]);
  });

  it('has a limit for levels', () => {
    const deep = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}\n`;
    expect(divided(deep(100_000))).toEqual([['whole', deep(100_000).length]]);
    expect(divided(deep(100_001))).toEqual([['too_deep', deep(100_001).length]]);
  });

  it('spoils its own line only, and lines stay in order', () => {
    const heavy = list(MIB + 2);
    expect(divided(`{}\n{}\n${heavy}{}\n${heavy}${heavy}{"a":1}`)).toEqual([
      ['whole', 6],
      ['too_many_values', heavy.length],
      ['whole', 3],
      ['too_many_values', heavy.length],
      ['too_many_values', heavy.length],
      ['whole', 7],
    ]);
  });
});
