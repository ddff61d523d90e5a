/** Runs a program of `test/recipes`, as a user would, with `spillway` as it is in `src`. */

import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface RunningRecipe {
  child: ChildProcess;
  /** Resolves with what is on standard output once `text` is there. */
  printed(text: string): Promise<string>;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
}

export interface RecipeOptions {
  folder?: string;
  args?: string[];
  env?: NodeJS.ProcessEnv;
  /** What it gets on standard input. */
  input?: string;
  /** Leaves its standard input open. */
  keepsInput?: boolean;
}

export function startRecipe(
  name: string,
  { folder = 'programs', args = [], env = {}, input = '', keepsInput = false }: RecipeOptions = {},
): RunningRecipe {
  const program = `${root}test/recipes/${folder}/${name}.ts`;
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    timeout: 50_000,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  child.stdin.on('error', () => undefined);
  child.stdin.write(input);
  if (!keepsInput) child.stdin.end();
  const ended = new Promise<{
    code: number | null;
    signal: NodeJS.Signals | null;
    stdout: string;
    stderr: string;
  }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const printed = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const look = () => stdout.includes(text) && resolve(stdout);
      child.stdout.on('data', look);
      look();
      void ended.then(() => reject(new Error(`it ended without "${text}": ${stderr}`)));
    });
  return { child, printed, ended };
}

/** The end of a program that ends by itself. */
export function runRecipe(name: string, options?: RecipeOptions) {
  return startRecipe(name, options).ended;
}
