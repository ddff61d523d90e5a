/** A promise of the library that a run has seen broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** As JSON, with what that does not know. */
export function show(value: unknown, indent?: number): string {
  const replace = (_key: string, part: unknown) =>
    typeof part === 'bigint' || part === Infinity ? String(part) : part;
  return JSON.stringify(value, replace, indent);
}

/**
 * What happened in a run, in order: as a digest always, so that two runs can be compared, and as lines where somebody reads them. Keeps the
 * first violation: thrown where it is found, the engine would take it for a handler's failure.
 */
export class Journal {
  violation: Violation | undefined;
  events = 0;
  readonly #now: () => number;
  readonly #print: ((line: string) => void) | undefined;
  #digest = 0;

  constructor(now: () => number, print?: (line: string) => void) {
    this.#now = now;
    this.#print = print;
  }

  get digest(): string {
    return (this.#digest >>> 0).toString(16).padStart(8, '0');
  }

  /** `number` goes into the digest; `describe` is asked only where the lines are read. */
  note(event: string, number: number, describe?: () => string): void {
    const now = this.#now();
    this.events++;
    let digest = this.#digest;
    for (const part of [event.length, Math.floor(now * 1000), number])
      digest = Math.imul(digest ^ part, 0x01000193) ^ (digest >>> 15);
    this.#digest = digest;
    this.#print?.(`${now.toFixed(3).padStart(12)} ms  ${event} ${describe?.() ?? number}`);
  }

  violated(message: string): void {
    if (this.violation !== undefined) return;
    this.violation = new Violation(`at ${this.#now().toFixed(3)} ms: ${message}`);
    this.note('VIOLATION', 0, () => message);
  }

  /** Runs checks inside the destination: what they throw is a violation too, not a flush that failed. */
  guard(checks: () => void): void {
    try {
      checks();
    } catch (thrown) {
      this.violated(`a check has thrown: ${String(thrown)}`);
    }
  }

  /** `tell` makes the message only when it is needed. */
  check(holds: boolean, tell: () => string): void {
    if (!holds) this.violated(tell());
  }
}
