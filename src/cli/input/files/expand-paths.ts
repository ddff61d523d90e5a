/** Turns what was given as files into paths: `file://` URLs, and patterns that the shell did not expand. */

import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError, UsageError } from '../../common/errors.js';

/**
 * Windows shells leave patterns to the program. A path that exists is never taken for one.
 *
 * @throws {UsageError} for a URL that is no file here
 * @throws {InputError} for a pattern that nothing matches
 */
export function expandPaths(given: readonly string[]): string[] {
  return given.flatMap((name) => {
    if (/^file:\/\//i.test(name)) return [pathOfUrl(name)];
    return /[*?]/.test(name) && !existsSync(name) ? matchesOf(name) : [name];
  });
}

function pathOfUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new UsageError(`${url} names no file: ${(error as Error).message}`);
  }
}

/** Files that match a pattern, sorted. `*` and `?` stand for characters within a name, and not for the dot that begins it. */
function matchesOf(pattern: string): string[] {
  const parts = pattern.split(path.sep === '\\' ? /[\\/]/ : '/');
  let found = [''];
  for (const [index, part] of parts.entries()) {
    const separator = index === parts.length - 1 ? '' : '/';
    found = found.flatMap((folder) =>
      namesIn(folder, part)
        .filter((name) => existsSync(`${folder}${name}${separator}`))
        .map((name) => `${folder}${name}${separator}`),
    );
  }
  if (found.length === 0) throw new InputError(pattern, undefined, 'no file matches this pattern');
  return found;
}

function namesIn(folder: string, part: string): string[] {
  if (!/[*?]/.test(part)) return [part];
  const source = part
    .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const pattern = new RegExp(`^${source}$`, process.platform === 'win32' ? 'is' : 's');
  try {
    const names = readdirSync(folder === '' ? '.' : folder).filter((name) => pattern.test(name));
    return names.filter((name) => part.startsWith('.') || !name.startsWith('.')).sort();
  } catch {
    return [];
  }
}
