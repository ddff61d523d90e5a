/** A text that is made of many parts: joined a few thousand at a time, for each by itself takes more memory than most of them are long. */

const MAX_PENDING = 4096;

export class TextBuilder {
  #pending: string[] = [];
  #joined: string[] = [];

  append(part: string): void {
    this.#pending.push(part);
    if (this.#pending.length >= MAX_PENDING) this.#join();
  }

  /** Of all parts so far, with nothing between them. */
  get text(): string {
    this.#join();
    return this.#joined.join('');
  }

  #join(): void {
    this.#joined.push(this.#pending.join(''));
    this.#pending = [];
  }
}
