/** How text is encoded, by a sample of its bytes. */

import { describe, expect, it } from 'vitest';
import { detectEncoding } from '../../../../src/cli/detect/encoding.js';

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function wide(text: string): Buffer {
  return Buffer.from(text, 'utf16le');
}

describe('detectEncoding', () => {
  it.each<[string, Buffer, string]>([
    ['an empty sample', Buffer.alloc(0), 'utf-8'],
    ['ASCII', Buffer.from('id,name\n1,a\n'), 'utf-8'],
    ['UTF-8', Buffer.from('id,name\n1,café\n'), 'utf-8'],
    ['UTF-8 with a mark', Buffer.from('\ufeffid\n1\n'), 'utf-8'],
    ['UTF-8 with one damaged byte among many characters', Buffer.concat([Buffer.from('é'.repeat(40)), Buffer.of(0xff)]), 'utf-8'],
    ['UTF-16LE with a mark', wide('\ufeffid,name\n1,ä\n'), 'utf-16le'],
    ['UTF-16BE with a mark', wide('\ufeffid,name\n1,ä\n').swap16(), 'utf-16be'],
    ['UTF-16LE without a mark', wide('id,name\n1,ä\n'), 'utf-16le'],
    ['UTF-16BE without a mark', wide('id,name\n1,ä\n').swap16(), 'utf-16be'],
    ['UTF-16LE without a mark, with characters whose other byte is 0', wide('i,n\n1,a\u{1F600}b\n2,a\u{1F600}b\n'), 'utf-16le'],
    ['UTF-16LE without a mark, hardly any of it ASCII', wide('名前,場所名\n田中太郎,東京都千代田区\n鈴木,大阪府\n'), 'utf-16le'],
    ['UTF-16BE without a mark, hardly any of it ASCII', wide('名前,場所名\n田中太郎,東京都千代田区\n鈴木,大阪府\n').swap16(), 'utf-16be'],
    ['a byte of 0 here and there in ASCII', Buffer.from('id,name\n1,\0a\n2,\0\0\n3,b\n'), 'utf-8'],
    ['an apostrophe of windows-1252', latin1('id,t\n1,it\x92s\n'), 'windows-1252'],
    ['words in windows-1252', latin1('id,t\n1,caf\xe9\n2,\xe9t\xe9\n3,G\xfcnther\n'), 'windows-1252'],
    ['words in macintosh', latin1('id,t\r1,caf\x8e\r2,\x8et\x8e\r'), 'macintosh'],
  ])('%s', async (_name, bytes, expected) => {
    expect(await detectEncoding(bytes, true)).toEqual({ best: expected, rival: undefined });
  }); // prettier-ignore

  it('a character that the end of the sample cuts is none that is damaged', async () => {
    const bytes = Buffer.from('a,€').subarray(0, -1);
    expect(await detectEncoding(bytes, false)).toMatchObject({ best: 'utf-8' });
  });

  it('a UTF-16 sample may end between the halves of a character', async () => {
    const bytes = wide('id,name\n1,a\u{1F600}').subarray(0, -2);
    expect(await detectEncoding(bytes, false)).toMatchObject({ best: 'utf-16le' });
  });
});
