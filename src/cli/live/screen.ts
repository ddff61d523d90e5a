/**
 * The part of the terminal that the view draws on: lines above the cursor, which are drawn over.
 *
 * The cursor is never hidden, so that no way of ending the process can leave it hidden.
 */

import { createLogUpdate } from 'log-update';
import stringWidth from 'string-width';
import type { Size } from './block.js';

/** What is written to the stream by others. */
type Write = NodeJS.WriteStream['write'];

export interface ScreenOptions {
  /** The terminal wraps its lines again when it becomes narrower, as most do. */
  readonly wrapsAgain: boolean;
}

const USUAL_COLUMNS = 80;
const USUAL_ROWS = 24;

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #wrapsAgain: boolean;
  readonly #write: Write;
  readonly #hadOwnWrite: boolean;
  readonly #log: ReturnType<typeof createLogUpdate>;
  /** What is on the screen. */
  #lines: readonly string[] = [];
  #columns = 0;
  /** Others have written a part of a line. */
  #isInLine = false;
  readonly #forget = (): void => {
    this.#lines = [];
    this.#log.done();
  };

  constructor(stream: NodeJS.WriteStream, { wrapsAgain }: ScreenOptions) {
    this.#stream = stream;
    this.#wrapsAgain = wrapsAgain;
    this.#hadOwnWrite = Object.hasOwn(stream, 'write');
    // eslint-disable-next-line @typescript-eslint/unbound-method -- it is put back as it was
    this.#write = stream.write;
    const write = (...args: Parameters<Write>): boolean => this.#write.apply(stream, args);
    const sizeOf = (): Size => this.size;
    // What `createLogUpdate` uses of a stream.
    const target = {
      isTTY: true,
      write,
      get columns() {
        return sizeOf().columns;
      },
      get rows() {
        return sizeOf().rows;
      },
    };
    this.#log = createLogUpdate(target as unknown as NodeJS.WriteStream, { showCursor: true });
    const writeAbove = (...args: Parameters<Write>): boolean => {
      this.clear();
      const text = typeof args[0] === 'string' ? args[0] : Buffer.from(args[0]).toString();
      if (text !== '') this.#isInLine = !text.endsWith('\n');
      return this.#write.apply(stream, args);
    };
    stream.write = writeAbove as Write;
    // After Ctrl-Z and `fg`, the shell has written below the view.
    if (process.platform !== 'win32') process.on('SIGCONT', this.#forget);
  }

  /** Some terminals say that they have no columns and rows: that they do not know. */
  get size(): Size {
    return { columns: this.#stream.columns || USUAL_COLUMNS, rows: this.#stream.rows || USUAL_ROWS };
  }

  draw(lines: readonly string[]): void {
    const { columns } = this.size;
    // `log-update` loses equal lines at the end if there were more or fewer lines above them.
    if (columns !== this.#columns || lines.length !== this.#lines.length) this.clear();
    if (this.#isInLine) this.#write.call(this.#stream, '\n');
    this.#isInLine = false;
    this.#log(lines.join('\n'));
    this.#lines = lines;
    this.#columns = columns;
  }

  /** Removes the lines. What others write then stands in their place, and the next ones are drawn below. */
  clear(): void {
    const { columns } = this.size;
    const rows = this.#lines.reduce(
      (sum, line) => sum + (this.#wrapsAgain ? Math.max(1, Math.ceil(stringWidth(line) / columns)) : 1),
      0,
    );
    if (rows > 0) this.#write.call(this.#stream, `\r\u001b[${rows}A\u001b[J`);
    this.#forget();
  }

  close(): void {
    this.clear();
    if (process.platform !== 'win32') process.off('SIGCONT', this.#forget);
    if (this.#hadOwnWrite) this.#stream.write = this.#write;
    else delete (this.#stream as { write?: Write }).write;
  }
}
