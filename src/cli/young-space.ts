/** How much of the process's memory is garbage that has not been collected yet. */

import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's space for young objects as small as it is at the start (2 MiB). By itself it grows to 32 MiB in Node 20 and 22, 64 in 26 and 128
 * in 24, and whatever has been garbage for less than that stays in memory: more than all else that a load holds. That the flag may still
 * be set here is seen by a test, for Node promises nothing of flags; where it is not known any more, only the memory grows.
 */
export function keepYoungSpaceSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
