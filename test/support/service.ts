/** A service in a process of its own, beside the packages that it is run with, and what became of its items. */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Writes 1 000 items, reports each delivery in a file before it counts, and says `ready`. `slow`, `hangs` and `fails` are destinations.
 * `tell` is for `onDrained`. `SPILLWAY` is the module.
 */
const PRELUDE = `
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { BackpressureController, BackpressureTransform, BackpressureWritable, drainAll, drainOnSignals } from '${root}src/index.ts';
const note = (kind, count) => appendFileSync(process.env.NOTES, kind + ' ' + count + '\\n');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const destinations = {
  slow: async (items) => { await sleep(10); note('delivered', items.length); },
  hangs: () => new Promise(() => {}),
  fails: async () => { await sleep(10); throw new Error('down'); },
};
const createSink = (kind, options) => {
  const sink = new BackpressureWritable(destinations[kind], options);
  sink.on('error', () => {});
  return sink;
};
const fill = (sink, count = 1_000) => {
  for (let item = 0; item < count; item++) sink.write(item);
  note('accepted', count);
};
const tell = ({ undelivered }) => note('reported', undelivered.length);
const ready = () => console.log('ready');
`;

export interface ServiceEnd {
  accepted: number;
  delivered: number;
  /** By `onDrained` or `drainAll`. */
  reported: number;
  /** By the line on standard error. */
  printed: number;
  lines: number;
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** What it has noted: a kind and a count on each line. */
  notes: string;
  /** From `ready` to the end. */
  ms: number;
}

export interface Command {
  command: string;
  args: string[];
}

export interface ServiceOptions {
  /** What happens once it is ready. */
  onReady?: (child: ReturnType<typeof spawn>) => void;
  /** Wraps the command that runs the script. */
  wrap?: (command: Command, folder: string) => Command;
  detached?: boolean;
}

export async function runService(script: string, options: ServiceOptions = {}): Promise<ServiceEnd> {
  // Inside the checkout, so that it finds the packages that it imports.
  const folder = mkdtempSync(path.join(root, 'test/.service-'));
  try {
    const notes = path.join(folder, 'notes');
    writeFileSync(notes, '');
    writeFileSync(path.join(folder, 'app.mjs'), PRELUDE + script);
    const plain = { command: process.execPath, args: ['--import', 'tsx', path.join(folder, 'app.mjs')] };
    const { command, args } = options.wrap?.(plain, folder) ?? plain;
    const end = await run(command, args, { ...options, folder, notes });
    const noted = readFileSync(notes, 'utf8');
    const sum = (kind: string) =>
      [...noted.matchAll(new RegExp(`^${kind} (\\d+)$`, 'gm'))].reduce(
        (total, [, count]) => total + Number(count),
        0,
      );
    const lines = [
      ...(end.stderr + end.stdout).matchAll(/spillway: (\d+) items? (?:was|were) not delivered/g),
    ];
    return {
      ...end,
      notes: noted,
      accepted: sum('accepted'),
      delivered: sum('delivered'),
      reported: sum('reported'),
      printed: lines.reduce((total, [, count]) => total + Number(count), 0),
      lines: lines.length,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(
  command: string,
  args: string[],
  { onReady, folder, notes, detached = false }: ServiceOptions & { folder: string; notes: string },
): Promise<Pick<ServiceEnd, 'code' | 'signal' | 'stdout' | 'stderr' | 'ms'>> {
  return new Promise((resolve, reject) => {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(NODE_|VITEST|npm_)/.test(name));
    const env = { ...Object.fromEntries(inherited), NOTES: notes, NODE_ENV: 'production' };
    const child = spawn(command, args, { cwd: folder, env, detached, stdio: 'pipe' });
    const timer = setTimeout(() => child.kill('SIGKILL'), 50_000);
    let stdout = '';
    let stderr = '';
    let readyAt = 0;
    child.stdin.on('error', () => undefined);
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk);
      if (readyAt > 0 || !/^ready/m.test(stdout)) return;
      readyAt = performance.now();
      onReady?.(child);
    });
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, ms: performance.now() - readyAt });
    });
  });
}

/** Sends signals one after the other, each after so many milliseconds. */
export function signals(
  ...steps: (readonly [number, NodeJS.Signals])[]
): NonNullable<ServiceOptions['onReady']> {
  return (child) => {
    let at = 0;
    for (const [pauseMs, signal] of steps) {
      at += pauseMs;
      setTimeout(() => child.kill(signal), at).unref();
    }
  };
}
