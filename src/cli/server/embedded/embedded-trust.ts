/** Finds folders and links that the embedded server must not rely on, as other users could put their own files there. */

import { lstat, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';

/** @returns the folders from the root of the file system down to `directory` */
function pathsTo(directory: string): string[] {
  const parent = path.dirname(directory);
  return parent === directory ? [directory] : [...pathsTo(parent), directory];
}

const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/**
 * Returns the first folder above `directory` in which another user could replace our folder by a link. For root only.
 *
 * A folder that does not exist is made by us. A sticky folder (`/tmp`) protects our entries in it.
 */
export async function findUntrusted(directory: string): Promise<string | undefined> {
  for (const folder of pathsTo(directory)) {
    const found = await lstat(folder).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) return undefined;
    // The target of a link has an owner of its own.
    if (found.isSymbolicLink()) {
      if (found.uid !== 0) return folder;
      return findUntrusted(path.join(await realpath(folder), path.relative(folder, directory)));
    }
    if (found.uid !== 0 || (isOpen(found) && (found.mode & STICKY) === 0)) return folder;
  }
  return undefined;
}

function isOpen({ mode, gid }: { mode: number; gid: number }): boolean {
  return (mode & OTHERS_WRITE) !== 0 || ((mode & GROUP_WRITES) !== 0 && gid !== 0);
}

/** Returns whether a path without links is `root` or within it. */
export function isWithin(root: string, file: string): boolean {
  const relative = path.relative(root, file);
  return relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}

/** @returns the first link in the folder `root` that leads out of it, or to nothing */
export async function findStrayLink(root: string): Promise<string | undefined> {
  const folders = [root];
  for (const folder of folders) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) folders.push(file);
      if (!entry.isSymbolicLink()) continue;
      const target = await realpath(file).catch(() => undefined);
      if (target === undefined || !isWithin(root, target)) return file;
    }
  }
  return undefined;
}
