/** The directory at the end of a zip archive. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { endsInTheMiddle, isDamaged } from './compressed-data-error.js';
import { isTableEntry } from './zip-entries.js';

const END = Buffer.from('PK\x05\x06');
const END_BYTES = 22;
const ZIP64_END = Buffer.from('PK\x06\x06');
const ZIP64_END_BYTES = 56 + 20;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const TAIL_BYTES = ZIP64_END_BYTES + END_BYTES + 0xffff;
/** Of entries that are of no use with more than one. */
const MOST_DIRECTORY_BYTES = 1024 * 1024;

/**
 * Reads the names of the entries that may be tables.
 *
 * @throws {CompressedDataError} if the archive has no end
 */
export function zipEntriesOf(path: string): string[] {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const tailStart = Math.max(0, size - TAIL_BYTES);
    const tail = readAt(file, tailStart, size);
    const at = tail.lastIndexOf(END);
    if (at === -1 || at + END_BYTES > tail.length) throw endsInTheMiddle('zip');
    const zip64 = tail.lastIndexOf(ZIP64_END, at);
    const short = tail.readUInt32LE(at + 12);
    const length = short === 0xffffffff && zip64 !== -1 ? Number(tail.readBigUInt64LE(zip64 + 40)) : short;
    // Where the directory begins is not always said, but it ends here.
    const start = Math.max(0, tailStart + (zip64 === -1 ? at : zip64) - length);
    return namesIn(readAt(file, start, start + Math.min(length, MOST_DIRECTORY_BYTES))).filter(isTableEntry);
  } finally {
    closeSync(file);
  }
}

function namesIn(directory: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at + ENTRY_BYTES <= directory.length;) {
    if (directory.readUInt32LE(at) !== ENTRY) throw isDamaged('zip', 'its directory cannot be read');
    const end = at + ENTRY_BYTES + directory.readUInt16LE(at + 28);
    names.push(directory.toString('utf8', at + ENTRY_BYTES, end));
    at = end + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return names;
}

function readAt(file: number, start: number, end: number): Buffer {
  const bytes = Buffer.alloc(end - start);
  return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, start));
}
