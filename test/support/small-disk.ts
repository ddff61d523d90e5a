/** A disk that is soon full: a file system in memory, of a size that can be changed while it is in use. Needs root. */

import { execFile } from 'node:child_process';
import { chown, mkdtemp, rm, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  readonly directory: string;
  resize(mebibytes: number): Promise<void>;
  freeBytes(): Promise<number>;
  remove(): Promise<void>;
}

/** @throws where this machine does not let us mount anything */
export async function mountSmallDisk(
  mebibytes: number,
  owner: { uid: number; gid: number },
): Promise<SmallDisk> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-small-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', directory]);
  } catch (error) {
    await rm(directory, { recursive: true });
    throw error;
  }
  await chown(directory, owner.uid, owner.gid);
  return {
    directory,
    async resize(size) {
      await run('mount', ['-o', `remount,size=${size}m`, directory]);
    },
    async freeBytes() {
      const { bavail, bsize } = await statfs(directory);
      return bavail * bsize;
    },
    async remove() {
      await run('umount', [directory]);
      await rm(directory, { recursive: true });
    },
  };
}

/** Why a small disk cannot be had here; `undefined` where it can. */
export async function whyNoSmallDisk(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'only Linux mounts tmpfs';
  try {
    const disk = await mountSmallDisk(1, { uid: process.getuid!(), gid: process.getgid!() });
    await disk.remove();
    return undefined;
  } catch (error) {
    return `no file system can be mounted here: ${(error as Error).message.split('\n')[0]!}`;
  }
}
