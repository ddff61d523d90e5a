/** Round numbers for an axis. */

const ROUND = [1, 2, 5, 10];

/** Returns the smallest round step (1, 2 or 5 times a power of ten) by which an axis up to `top` has at most `most` of them. */
function stepFor(top: number, most: number): number {
  const least = top / most;
  const power = 10 ** Math.floor(Math.log10(least));
  // A rounding error must not lead to the next step.
  return power * ROUND.find((factor) => factor * power >= least * 0.999_999)!;
}

/** Returns the multiples of the step from 0 to `top`. */
export function ticks(top: number, most: number): number[] {
  const step = stepFor(top, most);
  return Array.from({ length: Math.floor((top / step) * 1.000_001) + 1 }, (_, index) => index * step);
}

/** Returns a round number at or above `top`. */
export function roundedUp(top: number, most: number): number {
  if (top <= 0) return 1;
  const step = stepFor(top, most);
  return step * Math.ceil((top / step) * 0.999_999);
}
