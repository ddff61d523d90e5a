/** Runs a command in a real pseudo-terminal, and shows what it writes on the screen of a terminal emulator. */

import { spawn } from '@lydell/node-pty';
import { Terminal } from '@xterm/headless';
import { expect } from 'vitest';

export interface PseudoTerminal {
  /** The lines of the screen, with what has left it at its top, up to the last one that is not empty. */
  lines(): Promise<string[]>;
  /** Waits until the screen is as expected, and returns its lines. */
  until(isThere: (lines: string[]) => boolean): Promise<string[]>;
  resize(columns: number, rows: number): Promise<void>;
  type(text: string): void;
  /** Everything that was written, escape sequences included. */
  written(): string;
  readonly pid: number;
  readonly exitCode: Promise<number>;
}

export interface TerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** For a machine under load. */
const LONGEST_MS = 60_000;

export function inTerminal(command: readonly string[], options: TerminalOptions): PseudoTerminal {
  const { columns = 100, rows = 24, cwd } = options;
  const inherited = Object.entries(process.env).filter(
    ([name]) =>
      !/^(PG|DATABASE_URL|NODE_|VITEST|CI$|NO_COLOR|FORCE_COLOR|TERM|LC_|LANG|TMUX|STY|XTERM)/.test(name),
  );
  const env = { ...Object.fromEntries(inherited), TERM: 'xterm-256color', LANG: 'C.UTF-8', ...options.env };
  const screen = new Terminal({ cols: columns, rows, allowProposedApi: true });
  const child = spawn(command[0]!, [...command.slice(1)], { cols: columns, rows, cwd, env });
  let written = '';
  child.onData((text) => {
    written += text;
    screen.write(text);
  });
  const exitCode = new Promise<number>((resolve) => {
    child.onExit((end) => resolve(end.exitCode));
  });
  const lines = async (): Promise<string[]> => {
    await new Promise<void>((resolve) => {
      screen.write('', resolve);
    });
    const { active } = screen.buffer;
    const all = Array.from({ length: active.length }, (_, row) =>
      active.getLine(row)!.translateToString(true),
    );
    while (all.at(-1) === '') all.pop();
    return all;
  };
  return {
    lines,
    async until(isThere) {
      await expect
        .poll(async () => isThere(await lines()) || (await lines()), { timeout: LONGEST_MS })
        .toBe(true);
      return lines();
    },
    async resize(newColumns, newRows) {
      await lines();
      screen.resize(newColumns, newRows);
      child.resize(newColumns, newRows);
    },
    type: (text) => child.write(text),
    written: () => written,
    pid: child.pid,
    exitCode,
  };
}
