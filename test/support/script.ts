import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

const PRELUDE = `
  import { BackpressureController, BackpressureWritable, BackpressureTransform, drainOnSignals } from './src/index.ts';
  const say = (word) => void process.stdout.write(word + ' ');
  process.on('exit', () => say('exit'));
`;

export interface ScriptEnd {
  words: string[];
  code: number | null;
  /** The signal that has ended it. */
  signal: NodeJS.Signals | null;
  /** How long it took to end after the last word, in milliseconds. */
  lastWordToEndMs: number;
}

/** Runs a script in a process of its own, which may `say` words; `onWord` hears each of them, at once. */
export function runScript(
  script: string,
  onWord: (word: string, child: ChildProcess) => void = () => undefined,
): Promise<ScriptEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', PRELUDE + script],
      { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], timeout: 50_000, killSignal: 'SIGKILL' },
    );
    let output = '';
    let heard = 0;
    let lastWordAt = performance.now();
    child.stdout.on('data', (chunk) => {
      output += String(chunk);
      lastWordAt = performance.now();
      const whole = output.slice(0, output.lastIndexOf(' ')).split(/\s+/).filter(Boolean);
      for (const word of whole.slice(heard)) onWord(word, child);
      heard = whole.length;
    });
    child.stderr.on('data', (chunk) => (output += String(chunk)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const words = output.trim().split(/\s+/);
      resolve({ words, code, signal, lastWordToEndMs: performance.now() - lastWordAt });
    });
  });
}
