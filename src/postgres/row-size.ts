/** About how many bytes a row takes in memory and on the wire, so that batches of wide rows stay bounded too. */

const SAMPLED_AT_FIRST = 32;
/** Afterwards one row in so many is looked at; the others count as the mean. A power of two. */
const SAMPLE_EVERY = 32;
/** How fast the mean follows. */
const WEIGHT = 1 / 8;
const NUMBER_BYTES = 8;
const DEEPEST = 8;

/** A `sizeOf` that costs next to nothing: it measures some rows and takes their running mean for the rest. */
export function sampledRowSize(): (row: unknown) => number {
  let count = 0;
  let mean = 0;
  return (row) => {
    count += 1;
    if (count > SAMPLED_AT_FIRST && (count & (SAMPLE_EVERY - 1)) !== 0) return Math.ceil(mean);
    const bytes = estimateBytes(row, 0);
    mean += (bytes - mean) * (count <= SAMPLED_AT_FIRST ? 1 / count : WEIGHT);
    return bytes;
  };
}

export function estimateBytes(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length + 1;
  if (typeof value !== 'object' || value === null) return NUMBER_BYTES;
  if (ArrayBuffer.isView(value)) return 2 * value.byteLength + 4;
  if (value instanceof ArrayBuffer) return 2 * value.byteLength + 4;
  if (value instanceof Date) return 3 * NUMBER_BYTES;
  if (depth === DEEPEST) return NUMBER_BYTES;
  let bytes = 1;
  if (Array.isArray(value)) for (const element of value) bytes += estimateBytes(element, depth + 1);
  else for (const key in value) bytes += estimateBytes((value as Record<string, unknown>)[key], depth + 1);
  return bytes;
}
