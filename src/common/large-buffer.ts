import { MIB } from './bytes.js';

const LARGE_BYTES = 8 * MIB;
/** More than this, glibc maps by itself. */
const MAPPED_BYTES = 32 * MIB + 1;

/**
 * Returns memory for a buffer that may be large. What a large one does not use costs nothing.
 *
 * The allocator of Linux (glibc) keeps what is freed of blocks of up to 32 MiB: buffers of 16 MB, one after another, would leave gaps of that
 * size. What is larger goes back to the system at once.
 */
export function allocateLarge(bytes: number): Buffer<ArrayBuffer> {
  return Buffer.allocUnsafeSlow(bytes > LARGE_BYTES ? Math.max(bytes, MAPPED_BYTES) : bytes);
}
