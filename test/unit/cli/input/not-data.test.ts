/** Files that are no tables, by their first bytes. */

import { describe, expect, it } from 'vitest';
import { isEnoughToTell, notDataOf } from '../../../../src/cli/input/not-data.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const tar = (magic: string) => latin1(`a.csv${'\0'.repeat(252)}${magic}${'\0'.repeat(100)}`);

const FILES: readonly (readonly [string, Buffer, RegExp, RegExp])[] = [
  ['a page', latin1('<!DOCTYPE html>\n<html lang="en">'), /an HTML page/, /download the file/],
  ['a page without a doctype', latin1('\n\n<html>\n<head>'), /an HTML page/, /download/],
  ['a page after a comment', latin1('<!-- saved -->\n<HTML><body>'), /an HTML page/, /download/],
  ['XHTML', latin1('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">'), /an HTML page/, /download/],
  ['a page in UTF-16', Buffer.from('\ufeff<html><body>', 'utf16le'), /an HTML page/, /download/],
  ['XML after a mark', Buffer.from('\ufeff<?xml version="1.0"?><rows>'), /an XML file/, /CSV/],
  ['a map', latin1('<kml xmlns="http://www.opengis.net/kml/2.2">'), /an XML file/, /CSV/],
  ['a pointer', latin1('version https://git-lfs.github.com/spec/v1\noid sha256:1\n'), /Git LFS pointer/, /git lfs pull/],
  ['an annexed file', latin1('/annex/objects/SHA256E-s1--aa.csv\n'), /git-annex/, /git annex get/],
  ['a PDF', latin1('%PDF-1.7\n'), /a PDF/, /CSV/],
  ['an .xls', latin1('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0'), /Excel/, /save it as CSV/],
  ['a database', latin1('SQLite format 3\0\x10\0'), /SQLite/, /sqlite3 -csv/],
  ['Parquet', latin1('PAR1\x15\x04\x15'), /a Parquet file/, /--format parquet/],
  ['Avro', latin1('Obj\x01\x04'), /Avro file/, /CSV/],
  ['ORC', latin1('ORC\x08\x03\x10'), /ORC file/, /CSV/],
  ['Arrow', latin1('ARROW1\0\0\xff'), /Arrow file/, /CSV/],
  ['a PNG', latin1('\x89PNG\r\n\x1a\n\0'), /a PNG image/, /picture/],
  ['a JPEG', latin1('\xff\xd8\xff\xe0'), /a JPEG image/, /picture/],
  ['a GIF', latin1('GIF89a\x01\0\x01\0'), /a GIF image/, /picture/],
  ['an old GIF', latin1('GIF87a\x01\0\x01\0'), /a GIF image/, /picture/],
  ['a tar', tar('ustar\x0000'), /a tar archive/, /tar -xf/],
  ['a tar of GNU', tar('ustar  \0'), /a tar archive/, /tar -xf/],
  ['a 7z', latin1('7z\xbc\xaf\x27\x1c\0'), /a 7z archive/, /7z x/],
  ['a RAR', latin1('Rar!\x1a\x07\x01'), /a RAR archive/, /unrar/],
]; // prettier-ignore

describe('a file that is no table', () => {
  it.each(FILES)('%s is told by its beginning, with what helps', (_name, bytes, what, help) => {
    const found = notDataOf(bytes);
    expect(found?.what).toMatch(what);
    expect(found?.help).toMatch(help);
  });

  it.each(FILES)('%s is told when its bytes come one by one', (_name, bytes) => {
    let length = 0;
    while (length < bytes.length && !isEnoughToTell(bytes.subarray(0, length))) length += 1;
    expect(notDataOf(bytes.subarray(0, length))).toEqual(notDataOf(bytes));
  });

  it.each([
    ['nothing', ''],
    ['CSV', 'id,name\n1,a\n'],
    ['NDJSON', '{"a":1}\n'],
    ['texts with markup', '<b>name</b>,id\n<html>,1\n'],
    ['a column called ORC', 'ORC,PAR1\n1,2\n'],
    ['a column called PAR1', 'PAR1\n1\n'],
    ['a column called GIF89a', 'GIF89a,x\n1,2\n'],
    ['a column called Rar!', 'Rar!,x\n1,2\n'],
    ['versions', 'version https://example.com\n1\n'],
    ['a column called PK', 'PK,name\n1,2\n'],
    ['UTF-16', Buffer.from('\ufeffid,name\n1,a\n', 'utf16le').toString('latin1')],
  ])('%s is a table, for which no further bytes are awaited', (_name, text) => {
    expect(notDataOf(latin1(text))).toBeUndefined();
    if (/^[^<]+\n/.test(text)) expect(isEnoughToTell(latin1(text))).toBe(true);
  });
});
