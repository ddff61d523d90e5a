/** Other projects' packages, which need not be installed: what is missing is listed as such. */

import { readFile } from 'node:fs/promises';
import type { Candidate } from './comparison.js';

export async function versionOf(packageName: string): Promise<string | undefined> {
  const manifest = new URL(`../../node_modules/${packageName}/package.json`, import.meta.url);
  const text = await readFile(manifest, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as { version: string }).version;
}

/** The candidate that `make` builds; where the package is not installed, one that is only named. */
export async function orMissing(
  name: string,
  packageName: string,
  make: () => Promise<Candidate>,
): Promise<Candidate> {
  try {
    return await make();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    return {
      name,
      missing: packageName,
      verify: async () => 'not installed',
      run: async () => undefined,
      confirm: () => 'not installed',
    };
  }
}
