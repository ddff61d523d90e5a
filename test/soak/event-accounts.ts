/** What became of each event: what the service answered, what it reported as failed, and what the tables hold. */

/** What the client knows of an event. `unknown`: no answer came. */
export const ANSWERS = ['unsent', 'accepted', 'refused', 'unknown'] as const;
export type Answer = (typeof ANSWERS)[number];

/** Enough for an hour at 4 000 events a second. */
const MOST_EVENTS = 16 * 1024 * 1024;

export interface Verdict {
  /** A line for each event that is lost, doubled, or both stored and reported; the first ones. */
  wrong: string[];
  wrongCount: number;
  stored: number;
  failed: number;
  /** Failed ones of which nobody knew whether they arrived, and how many of those did. */
  ambiguous: number;
  ambiguousStored: number;
}

export class EventAccounts {
  readonly #answers = new Uint8Array(MOST_EVENTS);
  readonly #bad = new Uint8Array(MOST_EVENTS);
  readonly #rows = new Uint8Array(MOST_EVENTS);
  readonly #failures = new Map<number, { ambiguous: boolean; reason: string }>();
  readonly #reportedTwice = new Set<number>();
  readonly counts: Record<Answer, number> = { unsent: 0, accepted: 0, refused: 0, unknown: 0 };
  #next = 1;

  /** So many events have been made. */
  get made(): number {
    return this.#next - 1;
  }

  /** The id of a new event. */
  next(isBad: boolean): number {
    const id = this.#next++;
    if (id >= MOST_EVENTS) throw new Error(`more than ${MOST_EVENTS} events`);
    if (isBad) this.#bad[id] = 1;
    return id;
  }

  answered(id: number, answer: Answer): void {
    this.#answers[id] = ANSWERS.indexOf(answer);
    this.counts[answer]++;
  }

  failed(id: number, ambiguous: boolean, reason: string): void {
    if (this.#failures.has(id)) this.#reportedTwice.add(id);
    this.#failures.set(id, { ambiguous, reason });
  }

  stored(id: number): void {
    this.#rows[id]!++;
  }

  judge(): Verdict {
    const verdict: Verdict = {
      wrong: [],
      wrongCount: 0,
      stored: 0,
      failed: 0,
      ambiguous: 0,
      ambiguousStored: 0,
    };
    for (let id = 1; id < this.#next; id++) {
      const rows = this.#rows[id]!;
      const failure = this.#failures.get(id);
      if (rows > 0) verdict.stored++;
      if (failure !== undefined) verdict.failed++;
      if (failure?.ambiguous === true) verdict.ambiguous++;
      if (failure?.ambiguous === true && rows > 0) verdict.ambiguousStored++;
      const fault = this.#faultOf(id, rows, failure);
      if (fault === undefined) continue;
      verdict.wrongCount++;
      if (verdict.wrong.length < 10) verdict.wrong.push(`event ${id} (${this.#answerTo(id)}): ${fault}`);
    }
    return verdict;
  }

  #answerTo(id: number): Answer {
    return ANSWERS[this.#answers[id]!]!;
  }

  #faultOf(
    id: number,
    rows: number,
    failure: { ambiguous: boolean; reason: string } | undefined,
  ): string | undefined {
    const answer = this.#answerTo(id);
    if (rows > 1) return `${rows} times in the table`;
    if (this.#reportedTwice.has(id)) return 'reported as failed twice';
    if (this.#bad[id] === 1 && rows > 0) return 'stored, although its value is bad';
    if (this.#bad[id] === 0 && failure?.ambiguous === false)
      return `reported as failed, although its row is good: ${failure.reason}`;
    if (rows > 0 && failure?.ambiguous === false) return 'in the table, and reported as failed for certain';
    if (answer === 'accepted' && rows === 0 && failure === undefined)
      return 'neither in the table nor reported as failed';
    if ((answer === 'refused' || answer === 'unsent') && (rows > 0 || failure !== undefined))
      return 'stored or reported, although it was not accepted';
    return undefined;
  }
}
