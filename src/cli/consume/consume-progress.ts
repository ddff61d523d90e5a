/** Progress of a worker on standard error: a live line on a terminal, and elsewhere a plain one whenever something has changed. */

import { printable, writeLine } from '../load/parts.js';
import { progressLine, type ConsumeReading } from './consume-lines.js';

const LIVE_INTERVAL_MS = 500;
const PLAIN_INTERVAL_MS = 10_000;
/** Without a width, a terminal has this one. */
const USUAL_COLUMNS = 80;

/** @returns a function that stops it */
export function startConsumeProgress(stream: NodeJS.WriteStream, read: () => ConsumeReading): () => void {
  const isLive = stream.isTTY;
  let last = '';
  const show = (): void => {
    const line = progressLine(read());
    // Workers run for months: a log need not say every ten seconds that nothing has happened.
    if (line === last) return;
    last = line;
    if (isLive) stream.write(`\r\u001b[K${cut(printable(line), stream.columns || USUAL_COLUMNS)}`);
    else writeLine(stream, line);
  };
  const timer = setInterval(show, isLive ? LIVE_INTERVAL_MS : PLAIN_INTERVAL_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    if (isLive && last !== '') stream.write('\r\u001b[K');
  };
}

/** A line that wraps could not be written over. */
function cut(line: string, columns: number): string {
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;
}
