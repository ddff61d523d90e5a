/** Runs named checks one after another, and prints what became of each. */

export type Checks = Readonly<Record<string, () => void | Promise<void>>>;

const LIMIT_MS = 20_000;

/** Prints one line of JSON: each check by its name, and "ok" or the error. The process has to end by itself then. */
export async function runChecks(checks: Checks): Promise<void> {
  const outcomes: Record<string, string> = {};
  const unasked = (kind: string) => (error: unknown) => (outcomes[kind] = textOf(error));
  process.on('uncaughtException', unasked('uncaught exception'));
  process.on('unhandledRejection', unasked('unhandled rejection'));
  for (const [name, check] of Object.entries(checks)) outcomes[name] = await outcomeOf(check);
  console.log(JSON.stringify(outcomes));
}

async function outcomeOf(check: () => void | Promise<void>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`takes longer than ${LIMIT_MS} ms`), LIMIT_MS);
  });
  try {
    return await Promise.race([Promise.resolve(check()).then(() => 'ok'), late]);
  } catch (error) {
    return textOf(error);
  } finally {
    clearTimeout(timer);
  }
}

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
