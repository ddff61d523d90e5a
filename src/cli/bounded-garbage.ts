/** How much of the process's memory is garbage that has not been collected yet. */

import { setFlagsFromString } from 'node:v8';

/**
 * Keeps garbage from taking more memory than all else that a load holds, in both of V8's spaces.
 *
 * - The space for young objects stays as small as it is at the start (2 MiB). By itself it grows to 32 MiB in Node 20 and 22, 64 in 26 and 128
 *   in 24, and whatever has been garbage for less than that stays in memory.
 * - With rejects, the space for old ones is collected when it has doubled. By itself it may grow to four times of what was in use: the rows
 *   and errors of a batch live for long enough to become old, and three batches of refused rows, 25 MB, left 100 MB more of earlier ones.
 *   A load without rejects has no such rows, and would take a twentieth more time.
 *
 * That the flags may still be set here is seen by a test, for Node promises nothing of flags; where one is not known any more, only the
 * memory grows.
 */
export function boundGarbage(hasRejects: boolean): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  if (hasRejects) setFlagsFromString('--heap-growing-percent=100');
}
