/** A terminal of this process: what is written to the stream is shown by a terminal emulator, whose screen can be read. */

import { EventEmitter } from 'node:events';
import { Terminal } from '@xterm/headless';

export class ScreenStream extends EventEmitter {
  readonly isTTY = true;
  readonly #terminal: Terminal;
  /** Everything that was written. */
  written = '';
  columns: number;
  rows: number;

  constructor(columns: number, rows: number) {
    super();
    this.columns = columns;
    this.rows = rows;
    this.#terminal = new Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true });
  }

  write(text: string): boolean {
    this.written += text;
    this.#terminal.write(text);
    return true;
  }

  hasColors(environment: Record<string, string | undefined>): boolean {
    return environment['NO_COLOR'] === undefined;
  }

  /** As the terminal does it, before the process hears of it. */
  async resize(columns: number, rows = this.rows): Promise<void> {
    await this.#settled();
    this.#terminal.resize(columns, rows);
    Object.assign(this, { columns, rows });
    this.emit('resize');
  }

  /** The lines up to the last one that is not empty, with what has left the screen at its top. */
  async lines(): Promise<string[]> {
    await this.#settled();
    const { active } = this.#terminal.buffer;
    const lines = Array.from({ length: active.length }, (_, row) =>
      active.getLine(row)!.translateToString(true),
    );
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }

  async #settled(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#terminal.write('', resolve);
    });
  }
}
