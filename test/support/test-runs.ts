/**
 * How many random cases a test runs, and from which seed.
 *
 * `SPILLWAY_TEST_RUNS=10000` makes a long campaign of each test with random cases. `SPILLWAY_TEST_SEED=7` repeats one; for properties of
 * fast-check `SPILLWAY_TEST_SEED=7:3:0` repeats a single case, by the seed and the path that its failure prints.
 */

const RUNS = process.env['SPILLWAY_TEST_RUNS'];
const [SEED, ...PATH] = process.env['SPILLWAY_TEST_SEED']?.split(':') ?? [];

/** Whether a number of runs was asked for: then tests that choose among cases run all of them. */
export const IS_CAMPAIGN = RUNS !== undefined;

/** The number of random cases: `usual`, unless another was asked for. */
export function testRuns(usual: number): number {
  return wholeNumber('SPILLWAY_TEST_RUNS', RUNS) ?? usual;
}

/** The seed of the first case: `usual`, unless another was asked for. Without `usual` it is another one each time. */
export function testSeed(usual = Date.now() % 1_000_000): number {
  return wholeNumber('SPILLWAY_TEST_SEED', SEED) ?? usual;
}

/** The same for `fc.assert`. */
export function fastCheckRuns(usual: number): { numRuns: number; seed?: number; path?: string } {
  return {
    numRuns: testRuns(usual),
    ...(SEED !== undefined && { seed: testSeed() }),
    ...(PATH.length > 0 && { path: PATH.join(':') }),
  };
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text)) throw new Error(`${name} must begin with a whole number: ${text}`);
  return Number(text);
}
