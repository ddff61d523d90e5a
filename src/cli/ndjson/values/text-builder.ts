/** Builds a text of many parts. Joins a few thousand at a time: a string object takes more memory than most parts are long. */

const MAX_PENDING = 4096;

export class TextBuilder {
  #pending: string[] = [];
  #joined: string[] = [];

  append(part: string): void {
    this.#pending.push(part);
    if (this.#pending.length >= MAX_PENDING) this.#join();
  }

  /** All parts so far, joined. */
  get text(): string {
    this.#join();
    return this.#joined.join('');
  }

  #join(): void {
    this.#joined.push(this.#pending.join(''));
    this.#pending = [];
  }
}
