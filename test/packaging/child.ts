/** Programs that run as processes of their own. None outlives its time limit, and a failure has what it printed. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';

export interface ChildOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string | Buffer;
  /** A child that takes longer hangs. Default 60 000 ms. */
  readonly limitMs?: number;
}

export interface ChildResult {
  /** `null` if a signal has ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningChild {
  readonly child: ChildProcess;
  readonly result: Promise<ChildResult>;
  /** Resolves when `text` is on standard output. */
  printed(text: string): Promise<void>;
}

const LIMIT_MS = 60_000;

export function startChild(program: string, args: readonly string[], options: ChildOptions): RunningChild {
  // A group of its own: what a child has started ends with it if it hangs.
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...plainEnvironment(), ...options.env },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // It may end without having read it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin);
  const described = (): string => `${program} ${args.join(' ')}\nstdout: ${stdout}\nstderr: ${stderr}`;
  const result = new Promise<ChildResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      reject(new Error(`hangs: ${described()}`));
    }, options.limitMs ?? LIMIT_MS);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
  result.catch(() => undefined);
  const printed = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stdout.includes(text)) resolve();
      };
      child.stdout.on('data', look);
      look();
      result.then(() => reject(new Error(`ended without "${text}": ${described()}`)), reject);
    });
  return { child, result, printed };
}

export const runChild = (
  program: string,
  args: readonly string[],
  options: ChildOptions,
): Promise<ChildResult> => startChild(program, args, options).result;

/** Without what an npm or a test runner around this process wants of its own children. How to reach the registry stays. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = /^npm_config_(registry|cache|userconfig|globalconfig|cafile|.*proxy)$/i;
  const ours = /^(npm_|NODE_(?!EXTRA_CA_CERTS)|VITEST|TEST$|PG|DATABASE_URL|NATS_)/i;
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => kept.test(name) || !ours.test(name)),
  );
}

export function isMissing(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0;
}
