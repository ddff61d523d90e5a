import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';

const STANDARD_ERROR = 2;
const MOST_TRIES = 100;
const PAUSE_MS = 5;
const LONGEST_LINE = 500;

/** Writes a line to standard error before it returns: the process may end right after. Never throws. */
export function writeLineNow(line: string): void {
  avoidBlocking();
  let rest = Buffer.from(`${printable(line)}\n`);
  for (let tries = 0; tries < MOST_TRIES && rest.length > 0; tries++) {
    try {
      rest = rest.subarray(writeSync(STANDARD_ERROR, rest));
    } catch (error) {
      // A pipe that is full for the moment; anything else means that nobody reads.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}

/**
 * A blocking write to a full pipe that nobody reads would never return. Node makes a pipe non-blocking when it opens it, and blocking again
 * when a child process inherits it, so it is opened here once more. Not in a worker thread, whose end would close it for the process.
 */
function avoidBlocking(): void {
  if (!isMainThread) return;
  try {
    new Socket({ fd: STANDARD_ERROR, readable: false, writable: true });
  } catch {
    // It is a file or a terminal, or closed.
  }
}

/** One line without control characters: errors of a destination may contain anything. */
export function printable(text: string): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line;
}
