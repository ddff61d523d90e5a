/** Counts by cause: what failed, and how often, in bounded memory. */

import { fieldOf, messageOf } from '../../common/thrown.js';

/** More kinds of causes are counted together. */
const MOST_CAUSES = 50;
const LONGEST_MESSAGE = 300;
/** Causes of causes that are looked at. */
const DEEPEST = 5;

export interface Cause {
  /** An SQLSTATE, a code of Node.js or of the library, or the error's name. */
  readonly code: string;
  /** Of the first one. */
  readonly message: string;
  readonly count: number;
}

export class Causes {
  readonly #byCode = new Map<string, Cause>();

  add(cause: Pick<Cause, 'code' | 'message'>): void {
    const isKnown = this.#byCode.has(cause.code) || this.#byCode.size < MOST_CAUSES;
    const { code, message } = isKnown ? cause : { code: 'others', message: '' };
    const before = this.#byCode.get(code);
    this.#byCode.set(code, { code, message: before?.message ?? message, count: (before?.count ?? 0) + 1 });
  }

  /** The most frequent first. */
  list(): Cause[] {
    return [...this.#byCode.values()].sort((one, other) => other.count - one.count);
  }
}

/** Looks for a code in the error, then in its causes: an item's error is a frame around that of the destination. */
export function causeOf(error: unknown): Pick<Cause, 'code' | 'message'> {
  let found = error;
  let code: string | undefined;
  for (
    let depth = 0, at = error;
    depth < DEEPEST && at !== undefined;
    depth += 1, at = fieldOf(at, 'cause')
  ) {
    const own = codeOf(at);
    // The destination's own error says it without the frames.
    if (own === undefined || (code !== undefined && own !== code && !isOurs(code))) continue;
    found = at;
    code = own;
  }
  const name = fieldOf(found, 'name');
  return {
    code: code ?? (typeof name === 'string' && name !== '' ? name : 'Error'),
    message: shortened(messageOf(found)),
  };
}

function codeOf(error: unknown): string | undefined {
  const code = fieldOf(error, 'sqlState') ?? fieldOf(error, 'code');
  return typeof code === 'string' || typeof code === 'number' ? String(code) : undefined;
}

/** Says which part of the library has failed, while a cause says why. */
function isOurs(code: string): boolean {
  return code.startsWith('ERR_BACKPRESSURE_');
}

function shortened(text: string): string {
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}…` : text;
}
