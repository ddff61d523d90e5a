/** Whether `dist` is what the sources are. */

import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What the build writes last. */
const LAST_BUILT = 'dist/cli/load-report.cjs';

/** Returns whether `dist` is there, and newer than all that it is built of. */
export async function isBuildCurrent(): Promise<boolean> {
  const built = await stat(path.join(ROOT, LAST_BUILT)).catch(() => undefined);
  if (built === undefined) return false;
  const sources = await readdir(path.join(ROOT, 'src'), { recursive: true, withFileTypes: true });
  const files = sources
    .filter(({ name }) => name.endsWith('.ts'))
    .map(({ parentPath, name }) => path.join(parentPath, name));
  files.push(path.join(ROOT, 'package.json'), path.join(ROOT, 'tsup.config.ts'));
  const times = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs));
  return built.mtimeMs >= Math.max(...times);
}
