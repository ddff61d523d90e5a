/** What NDJSON becomes on the slow path: parsed into rows, written by the library's own writer. The fast path is held against it. */

import { NdjsonRows } from '../../src/cli/ndjson/rows/ndjson-rows.js';
import type { Transcoded } from '../../src/cli/ndjson/copy/transcoder.js';
import type { TableColumn } from '../../src/postgres/table/catalogue.js';
import { planLayout } from '../../src/postgres/rows/row-layout.js';
import type { RowFault } from '../../src/postgres/rows/row-fault.js';
import { RowWriter } from '../../src/postgres/rows/row-writer.js';
import type { ColumnType } from '../../src/postgres/encoding/text/text-encoders.js';

export function columnOf(name: string, type: ColumnType | string): TableColumn {
  return {
    name,
    typeName: 'of a test',
    type: typeof type === 'string' ? { kind: 'scalar', name: type, category: 'U' } : type,
    isGenerated: false,
  };
}

/** The same with the bytes as a text, which tests compare faster; each byte is a character. */
export function readable({ data, ...counts }: Transcoded): Omit<Transcoded, 'data'> & { data: string } {
  return { data: data.toString('latin1'), ...counts };
}

/** Of a block of lines, up to the first record with a fault. */
export function transcodedBySlowPath(
  block: Buffer,
  columns: readonly TableColumn[],
  ignoresOtherKeys: boolean,
): Transcoded {
  const rows: { row: unknown[]; line: number }[] = [];
  let faultLine = Infinity;
  const reader = new NdjsonRows(
    { name: 'f', path: 'f', sizeBytes: undefined },
    { columns, ignoresOtherKeys },
  );
  reader.read(
    block,
    (row, line) => rows.push({ row, line }),
    (_fault, line) => (faultLine = Math.min(faultLine, line)),
  );
  const layout = planLayout(
    { schema: 's', table: 't', columns, refersToItself: false, hasTriggers: false },
    { source: 'option', names: columns.map(({ name }) => name) },
  );
  const faults: RowFault[] = [];
  const writer = new RowWriter(layout, undefined, faults);
  const values = rows.filter(({ line }) => line < faultLine).map(({ row }) => row);
  const linesBeforeLast = (records: number): number => (records === 0 ? 0 : rows[records - 1]!.line - 1);
  for (let row = 0; row < values.length; row += 1) {
    writer.writeRow(values, row);
    if (faults.length === 0) continue;
    const counts = before(block, rows[row]!.line);
    return {
      data: writer.take(),
      records: row,
      linesBeforeLast: linesBeforeLast(row),
      isPaused: false,
      ...counts,
    };
  }
  const records = values.length;
  const counts = before(block, faultLine);
  return {
    data: writer.take(),
    records,
    linesBeforeLast: linesBeforeLast(records),
    isPaused: false,
    ...counts,
  };
}

function before(block: Buffer, faultLine: number): { lines: number; bytes: number } {
  let lines = 0;
  let bytes = 0;
  while (bytes < block.length && lines + 1 < faultLine) {
    const lineFeed = block.indexOf('\n', bytes);
    bytes = lineFeed === -1 ? block.length : lineFeed + 1;
    lines += 1;
  }
  return { lines, bytes };
}
