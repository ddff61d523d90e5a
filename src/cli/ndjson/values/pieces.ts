/** A text that is made of many pieces: joined a few thousand at a time, for each by itself takes more memory than most of them are long. */

const MOST_PIECES = 4096;

export class Pieces {
  #pieces: string[] = [];
  #joined: string[] = [];

  add(piece: string): void {
    this.#pieces.push(piece);
    if (this.#pieces.length >= MOST_PIECES) this.#join();
  }

  /** Of all pieces so far, with nothing between them. */
  get text(): string {
    this.#join();
    return this.#joined.join('');
  }

  #join(): void {
    this.#joined.push(this.#pieces.join(''));
    this.#pieces = [];
  }
}
