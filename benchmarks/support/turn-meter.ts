/** How long the turns of the event loop are, from one check phase to the next. */

import { openSync, readSync } from 'node:fs';

export interface LongestTurn {
  /** The main thread's processor time, in milliseconds. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

/**
 * Linux counts the processor time of each thread; Node.js has a call for it only from version 23.9 on. The count is brought up to date by the
 * system call behind `process.cpuUsage()`: without it, it may be older than a turn.
 */
const file = openSync('/proc/thread-self/schedstat', 'r');
const text = Buffer.alloc(128);

/** Of the thread that calls it, in milliseconds. */
function threadCpuMs(): number {
  process.cpuUsage();
  const length = readSync(file, text, 0, text.length, 0);
  return Number(text.toString('latin1', 0, length).split(' ')[0]) / 1e6;
}

/** The longest turn while `work` goes on. Its ticks keep the loop from sleeping. */
export async function longestTurn(work: () => Promise<void>): Promise<LongestTurn> {
  let cpuMs = 0;
  let wallMs = 0;
  let isOver = false;
  let cpuAt = threadCpuMs();
  let wallAt = performance.now();
  const look = (): void => {
    const cpu = threadCpuMs();
    const wall = performance.now();
    cpuMs = Math.max(cpuMs, cpu - cpuAt);
    wallMs = Math.max(wallMs, wall - wallAt);
    cpuAt = cpu;
    wallAt = wall;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await work();
  isOver = true;
  look();
  return { cpuMs, wallMs };
}
