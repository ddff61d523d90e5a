import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { cacheFolder, privateFolder } from '../../../../src/cli/start/compile-cache.js';

const root = mkdtempSync(path.join(os.tmpdir(), 'spillway-compile-cache-'));
const user = process.getuid?.() ?? 0;
const isRoot = user === 0;
const STRANGER = 4242;

afterAll(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string, mode = 0o700): string {
  const made = path.join(root, name);
  mkdirSync(made, { recursive: true });
  chmodSync(made, mode);
  return made;
}

describe('the folder for compiled code', () => {
  it('is made for the user alone', () => {
    const cache = path.join(folder('new'), 'a', 'spillway');
    expect(privateFolder(cache, user)).toBe(cache);
    expect(statSync(cache).mode & 0o777).toBe(0o700);
  });

  it('is used if it is there, under its path without links', () => {
    const cache = folder('there');
    const link = path.join(root, 'link');
    symlinkSync(cache, link);
    expect(privateFolder(link, user)).toBe(cache);
  });

  // Node.js makes folders in it that the group may write to if the umask allows that.
  it.each([0o770, 0o707, 0o777, 0o750, 0o755])('is not used if others may enter it: %o', (mode) => {
    expect(privateFolder(folder(`open-${mode.toString(8)}`, mode), user)).toBeUndefined();
  });

  it.each([
    ['writable by the group', 0o770, false],
    ['writable by all', 0o777, false],
    ['writable by all, and sticky', 0o1777, true],
  ])('is used by what the folder above it allows: %s', (_, mode, isUsed) => {
    const cache = path.join(folder(`above-${mode.toString(8)}`, mode), 'spillway');
    expect(privateFolder(cache, user) !== undefined).toBe(isUsed);
  });

  it.skipIf(!isRoot)("is not used if it is another user's, or stands in another user's folder", () => {
    const cache = folder('strange');
    chownSync(cache, STRANGER, STRANGER);
    expect(privateFolder(cache, user)).toBeUndefined();
    expect(privateFolder(path.join(cache, 'within'), user)).toBeUndefined();
  });

  it.skipIf(!isRoot)("is not made in another user's home: with sudo, its owner could not use it", () => {
    const home = folder('home');
    chownSync(home, STRANGER, STRANGER);
    expect(privateFolder(path.join(home, '.cache', 'spillway'), user)).toBeUndefined();
    expect(readdirSync(home)).toEqual([]);
  });

  it('is not made where others may write', () => {
    const open = folder('open', 0o777);
    expect(privateFolder(path.join(open, '.cache', 'spillway'), user)).toBeUndefined();
    expect(readdirSync(open)).toEqual([]);
  });

  it('is not looked for in the working directory, as with an empty HOME', () => {
    expect(() => privateFolder(cacheFolder({}, ''), user)).toThrow('.cache/spillway');
    expect(existsSync('.cache')).toBe(false);
  });

  it.skipIf(!isRoot)('may stand in a folder of root', () => {
    const cache = path.join(folder('of-root', 0o755), 'spillway');
    mkdirSync(cache, { mode: 0o700 });
    chownSync(cache, STRANGER, STRANGER);
    // Only if the folder above of the tests is root's, too.
    expect(privateFolder(cache, STRANGER)).toBe(statSync(root).uid === 0 ? cache : undefined);
  });
});

describe('the place for caches', () => {
  it.each([
    ['linux', {}, '/home/a/.cache/spillway'],
    ['linux', { XDG_CACHE_HOME: '/var/cache/a' }, '/var/cache/a/spillway'],
    ['linux', { XDG_CACHE_HOME: 'relative' }, '/home/a/.cache/spillway'],
    ['darwin', {}, '/home/a/Library/Caches/spillway'],
  ] as const)('is that of the system: %s, %j', (platform, environment, expected) => {
    expect(cacheFolder(environment, '/home/a', platform)).toBe(expected);
    expect(existsSync(expected)).toBe(false);
  });
});
