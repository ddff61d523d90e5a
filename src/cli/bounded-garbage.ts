/** How much of the process's memory is garbage that has not been collected yet. */

import { setFlagsFromString } from 'node:v8';

/**
 * Limits the garbage in V8's heap, which would otherwise take more memory than all live data of a load.
 *
 * - Semi-space: stays at its first size (2 MiB). By default it grows to 32 MiB in Node 20 and 22, 64 MiB in 26 and 128 MiB in 24.
 * - Old space, only with `--rejects`: collected when it has doubled. By default it may grow to four times the live data: the rows and errors
 *   of a rejected batch live long enough to become old, and 25 MB of them left 100 MB of earlier ones. A load without rejects has no such
 *   rows, and would take 5 % more time.
 *
 * Node does not promise that these flags can be set after the start: a test checks it. If a flag is unknown, only the memory grows.
 */
export function boundGarbage(hasRejects: boolean): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  if (hasRejects) setFlagsFromString('--heap-growing-percent=100');
}
