/**
 * Keeps chunks that are written after a drain began apart from those that it is to settle (invariant 4).
 *
 * Each drain has a sequence number: how many items had arrived when it began. Items up to it are admitted as usual. Once they have all been
 * decided on, the barrier of the oldest drain is reached, and what comes later waits until that drain is over.
 *
 *     arrived   1 2 3 4 │ 5 6
 *     decided   1 2 3 4 │          reached: 5 and 6 wait
 */
export class DrainBarrier {
  readonly #sequences: number[] = [];

  get isDraining(): boolean {
    return this.#sequences.length > 0;
  }

  begin(arrivedSeq: number): void {
    this.#sequences.push(arrivedSeq);
  }

  end(sequence: number): void {
    this.#sequences.splice(this.#sequences.indexOf(sequence), 1);
  }

  isReached(decidedSeq: number): boolean {
    return this.#sequences.length > 0 && decidedSeq >= this.#sequences[0]!;
  }
}
