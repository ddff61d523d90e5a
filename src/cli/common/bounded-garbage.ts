/** How much of the process's memory is garbage that has not been collected yet. */

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MIB } from '../../common/bytes.js';

/**
 * Keeps the space for young objects at its first size (2 MiB), as garbage in it would otherwise take more memory than all live data of a load.
 * By default it grows to 32 MiB in Node 20 and 22, 64 MiB in 26 and 128 MiB in 24.
 *
 * Node does not promise that such flags can be set after the start: a test checks it. If one is unknown, only the memory grows.
 */
export function boundYoungGarbage(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** The semi-space of a load with bad rows: the rows of the parts under way, which are young, fit into it. */
const MOST_YOUNG_BYTES = 8 * MIB;

/** `grows`: the semi-space has not reached its size yet. */
let state: 'unset' | 'grows' | 'set' = 'unset';

/**
 * Prepares the heap for bad rows. To be called now and then.
 *
 * - Old space: collected when it has grown by half. By default it may grow to four times the live data: the rows and errors of a rejected
 *   batch live long enough to become old, and 25 MB of them left 100 MB of earlier ones. A load without bad rows would take 5 % more time.
 * - Semi-space: larger, as each collection copies the rows that are under way. With 2 MiB, that is 40 % of the processor's time.
 */
export function expectBadRows(): void {
  if (state === 'unset') {
    setFlagsFromString('--heap-growing-percent=50');
    setFlagsFromString('--semi-space-growth-factor=2');
    state = 'grows';
  } else if (state === 'grows') {
    const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
    if (young !== undefined && young.space_size < MOST_YOUNG_BYTES) return;
    boundYoungGarbage();
    state = 'set';
  }
}

let collect: (() => void) | undefined;

/**
 * Collects all garbage at once. V8 counts buffers and long texts little, as they lie outside of its heap: up to 100 MB of them stay otherwise.
 *
 * It takes about 10 ms, so it is only for records of many megabytes, which take several times as long themselves.
 */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
