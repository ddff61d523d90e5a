/** Files that are no tables, by their first bytes: what each is, and what helps. */

/** Bytes that decide. A magic number lies within them. */
const HEAD_BYTES = 512;
/** That of a PNG. */
const LONGEST_MAGIC_WITH_LINE_BREAK = 8;

export interface NotData {
  readonly what: string;
  /** What to do instead. */
  readonly help: string;
  /** Latin-1. */
  readonly magic?: string;
  /** Where `magic` is; 0 by default. */
  readonly offset?: number;
  /** The magic is plain letters, which a table may begin with: a control character must follow. */
  readonly isWord?: true;
  /** Of a text, in lower case and without a byte order mark. */
  readonly text?: RegExp;
}

const COMMENTS = String.raw`(?:<\?xml[^>]*>\s*)?(?:<!--[^]*?-->\s*)*`;

const SAVE_AS_CSV = 'save it as CSV';
const EXPORT_AS_CSV = 'export it as CSV';
const UNPACK = 'unpack it first';
const NOT_YET = 'which is not supported yet';

const NOT_DATA: readonly NotData[] = [
  {
    what: 'is an HTML page',
    text: new RegExp(String.raw`^${COMMENTS}<(?:!doctype\s+html|html)[\s>]`),
    help: 'download the file that the page is about (its address may need a login)',
  },
  { what: 'is an XML file', text: /^<(?:\?xml\s|(?:svg|kml|gpx|rss)[\s>])/, help: EXPORT_AS_CSV },
  {
    what: 'is a Git LFS pointer, not the file itself',
    text: /^version https:\/\/(?:git-lfs\.github\.com|hawser\.github\.com)\/spec\//,
    help: 'get the file with: git lfs pull',
  },
  {
    what: 'is a git-annex pointer, not the file itself',
    text: /^(?:(?:\.\.\/)*\.git)?\/annex\/objects\//,
    help: 'get the file with: git annex get',
  },
  { what: 'is a PDF', magic: '%PDF-', help: 'a table in it must be exported as CSV first' },
  {
    what: 'is an old Excel workbook or another file of Microsoft Office',
    magic: '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1',
    help: SAVE_AS_CSV,
  },
  {
    what: 'is an SQLite database',
    magic: 'SQLite format 3\0',
    help: 'export a table with: sqlite3 -csv -header FILE "SELECT * FROM …"',
  },
  {
    what: 'is a Parquet file',
    magic: 'PAR1',
    isWord: true,
    help: 'save it as a file by itself, without further compression, and load it with --format parquet',
  },
  { what: `is an Avro file, ${NOT_YET}`, magic: 'Obj\x01', help: EXPORT_AS_CSV },
  { what: `is an ORC file, ${NOT_YET}`, magic: 'ORC', isWord: true, help: EXPORT_AS_CSV },
  { what: `is an Arrow file, ${NOT_YET}`, magic: 'ARROW1\0\0', help: EXPORT_AS_CSV },
  { what: 'is a PNG image', magic: '\x89PNG\r\n\x1a\n', help: 'a picture of a table cannot be read' },
  { what: 'is a JPEG image', magic: '\xff\xd8\xff', help: 'a picture of a table cannot be read' },
  { what: 'is a GIF image', magic: 'GIF87a', isWord: true, help: 'a picture of a table cannot be read' },
  { what: 'is a GIF image', magic: 'GIF89a', isWord: true, help: 'a picture of a table cannot be read' },
  { what: 'is a tar archive', magic: 'ustar\0', offset: 257, help: `${UNPACK}, with: tar -xf FILE` },
  { what: 'is a tar archive', magic: 'ustar  \0', offset: 257, help: `${UNPACK}, with: tar -xf FILE` },
  { what: 'is a 7z archive', magic: '7z\xbc\xaf\x27\x1c', help: `${UNPACK}, with: 7z x FILE` },
  { what: 'is a RAR archive', magic: 'Rar!\x1a\x07', help: `${UNPACK}, with: unrar x FILE` },
];

/** Returns what a file is that begins with these bytes, if that is no table. */
export function notDataOf(head: Buffer): NotData | undefined {
  const bytes = head.subarray(0, HEAD_BYTES).toString('latin1');
  const text = textOf(bytes);
  return NOT_DATA.find((kind) => (kind.text === undefined ? hasMagic(bytes, kind) : kind.text.test(text)));
}

export function describeNotData({ what, help }: NotData): string {
  return `${what}: ${help}`;
}

function hasMagic(bytes: string, { magic = '', offset = 0, isWord }: NotData): boolean {
  if (!bytes.startsWith(magic, offset)) return false;
  const end = offset + magic.length;
  return isWord !== true || hasControl(bytes.slice(end, end + 64));
}

/** Whether there is a character that no text has. */
function hasControl(bytes: string): boolean {
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at]! < '\t') return true;
  return false;
}

/** UTF-16 without its zeros: the beginnings that are looked for are ASCII. */
function textOf(bytes: string): string {
  return bytes
    .replace(/^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)/, '')
    .replaceAll('\0', '')
    .trimStart()
    .toLowerCase();
}

/**
 * Whether the bytes suffice to say what the file is. Of a pipe, which may deliver one at a time and nothing more for long, a line is enough:
 * without one, no row can be loaded either.
 */
export function isEnoughToTell(head: Buffer): boolean {
  if (head.length >= HEAD_BYTES) return true;
  const bytes = head.toString('latin1');
  if (/^(?:<|$)/.test(textOf(bytes))) return false;
  const end = Math.max(head.lastIndexOf('\n'), head.lastIndexOf('\r'));
  return end >= LONGEST_MAGIC_WITH_LINE_BREAK || (end >= 0 && /^[\s -~]*$/.test(bytes));
}
