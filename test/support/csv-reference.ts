/**
 * What a file of CSV holds, by csv-parse alone and one record at a time: slow and plain, to compare the command line's own reading with.
 * The rule for what cannot be read is the one that the splitter documents.
 */

import { isUtf8 } from 'node:buffer';
import { CsvError, parse } from 'csv-parse/sync';
import type { CsvRow } from '../../src/cli/csv/csv-reader.js';
import type { CsvSettings } from './cli-records.js';

/** A row, or how a bad record was written. */
export type ReferenceRecord = { line: number } & ({ row: CsvRow } | { text: string });

export function referenceRecords(bytes: Buffer, settings: CsvSettings = {}): ReferenceRecord[] {
  const { maxRecordBytes = 1024 * 1024 } = settings;
  // Bytes as characters, so that what is not UTF-8 keeps its length.
  let rest = bytes.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  if (rest.endsWith('\r')) rest += '\n';
  const records: ReferenceRecord[] = [];
  let line = 1;
  while (rest !== '') {
    const first = firstRecord(rest, settings);
    const isRecord = first !== undefined && first.text.length <= maxRecordBytes;
    const text = isRecord ? first.text : /^(.*?)\r?(\n|$)/s.exec(rest)![1]!;
    const written = Buffer.from(text, 'latin1');
    const outsideQuotes = text.replace(/"[^"]*"/g, '');
    if (isRecord && isUtf8(written) && !outsideQuotes.includes('\r')) {
      records.push({ line, row: first.row.map(fromLatin1) });
    } else records.push({ line, text: written.toString('utf8') });
    rest = rest.slice(text.length).replace(/^\r?\n/, '');
    line += text.split('\n').length;
  }
  return records;
}

/** Nothing where csv-parse takes it for none. */
function firstRecord(
  text: string,
  { delimiter = ',', nullText = '' }: CsvSettings,
): { text: string; row: CsvRow } | undefined {
  try {
    const [found] = parse(text, {
      delimiter,
      record_delimiter: ['\n', '\r\n'],
      relax_column_count: true,
      raw: true,
      to: 1,
      cast: (value, { quoting }) => (!quoting && fromLatin1(value) === nullText ? null : value),
    }) as unknown as [{ record: CsvRow; raw: string }];
    const written = found.raw.replace(/[\r\n]$/, '');
    return { text: written, row: found.record };
  } catch (error) {
    if (error instanceof CsvError) return undefined;
    throw error;
  }
}

function fromLatin1<Field extends string | null>(field: Field): Field {
  return (field === null ? null : Buffer.from(field, 'latin1').toString('utf8')) as Field;
}
