/** Decides between readings. The one place that says when two are about as likely. Pure. */

export interface Scored<T> {
  readonly value: T;
  /** Above 0; 1 at most. */
  readonly score: number;
}

/** A runner-up with more than this share of the best score may as well be right. */
const ABOUT_AS_LIKELY = 0.9;

export interface Choice<T> {
  readonly best: T;
  /** Set if it is about as likely. */
  readonly rival: T | undefined;
}

/** Returns undefined without candidates. `isSame`: two readings that find the same table are no rivals. */
export function choose<T>(
  candidates: readonly Scored<T>[],
  isSame: (a: T, b: T) => boolean,
): Choice<T> | undefined {
  const [best, ...others] = candidates.toSorted((a, b) => b.score - a.score);
  if (best === undefined) return undefined;
  const rival = others.find(
    ({ value, score }) => score > ABOUT_AS_LIKELY * best.score && !isSame(value, best.value),
  );
  return { best: best.value, rival: rival?.value };
}
