/** Opens pipes and devices. */

import { constants, createReadStream, openSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/**
 * Opens what is not a regular file. A named pipe is read through a socket: read as a file, a silent pipe holds a thread, and no signal ends
 * the process.
 */
export function openStream(path: string, chunkBytes: number): Readable {
  // Other systems report the end of a pipe that has no writer yet, if it is opened without waiting.
  if (process.platform !== 'linux' || !statSync(path).isFIFO()) {
    return createReadStream(path, { highWaterMark: chunkBytes });
  }
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
}
