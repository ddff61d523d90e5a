/** The few files that connection settings come from. */

import { readFile, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

export interface FoundFile {
  readonly content: Buffer;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
}

/** What the settings may read of the machine; other ones only in tests. */
export interface Machine {
  /**
   * @param mustBePlain no pipe, which would be waited for, and no device
   * @returns `undefined` when there is no such file. Throws for one that cannot be read.
   */
  readFile(file: string, mustBePlain?: boolean): Promise<FoundFile | undefined>;
  readonly userName: string;
  /** The home directory when HOME is not set. */
  readonly home: string;
}

export function thisMachine(): Machine {
  return {
    readFile: readIfThere,
    get userName() {
      return userInfo()?.username ?? '';
    },
    get home() {
      return userInfo()?.homedir ?? '';
    },
  };
}

/** In a container, the user's number may be without a name. */
function userInfo(): os.UserInfo<string> | undefined {
  try {
    return os.userInfo();
  } catch {
    return undefined;
  }
}

async function readIfThere(file: string, mustBePlain = false): Promise<FoundFile | undefined> {
  try {
    const found = await stat(file);
    if (mustBePlain && !found.isFile()) throw Object.assign(new Error(), { code: 'not a plain file' });
    const { mode, uid } = found;
    return { content: await readFile(file), mode: mode & 0o777, uid };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** A file of the user's home directory. Empty when the home directory is not known. */
export function inHome(
  name: string,
  machine: Machine,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const given = environment['HOME'];
  const home = given === undefined || given === '' ? machine.home : given;
  return home === '' ? undefined : path.join(home, name);
}
