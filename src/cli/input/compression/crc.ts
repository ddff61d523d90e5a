/** CRC-32 as gzip, zip and xz have it. Node's own is there from 20.15 and 22.2. */

import zlib from 'node:zlib';

const TABLE = Int32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** @param before the CRC of the bytes before these; 0 at the beginning */
export const crc32: (bytes: Buffer, before: number) => number =
  (zlib as { crc32?: (bytes: Buffer, before: number) => number }).crc32 ?? crcByTable;

export function crcByTable(bytes: Buffer, before: number): number {
  let crc = ~before;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
