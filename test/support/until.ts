/** Waits for what comes about by itself. */

const LONGEST_MS = 50_000;

/** Resolves once the condition holds. @throws if it has not come to that in a time that is longer than any fault lasts */
export async function until(
  condition: () => boolean | Promise<boolean>,
  longestMs = LONGEST_MS,
): Promise<void> {
  const deadline = Date.now() + longestMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`it has not come to that within ${longestMs / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
