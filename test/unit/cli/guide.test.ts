/** The guide to the command line against the code: flags, and the fields of the JSON summaries. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createConsumeOptions } from '../../../src/cli/args/consume-flags.js';
import { createLoadOptions } from '../../../src/cli/args/load-flags.js';
import { earlyConsumeJson } from '../../../src/cli/report/consume-json.js';
import { earlyFailureJson } from '../../../src/cli/report/load-json.js';

const guide = readFileSync(new URL('../../../src/cli/README.md', import.meta.url), 'utf8');

/** The first cells of the first table behind a text, without those that are not code. */
function namesBehind(text: string): string[] {
  const [table] = /(?:^\|.*\n)+/m.exec(guide.slice(guide.indexOf(text))) ?? [''];
  const cells = table
    .split('\n')
    .slice(2, -1)
    .map((line) => line.split(/(?<!\\)\|/)[1]!);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]*)`/g)].map(([, code]) => code!));
}

describe('the guide to the command line', () => {
  it.each([
    // `--to` is said above the table.
    ['load', 'spillway load --help` explains', createLoadOptions(), ['--to']],
    ['consume', '`spillway consume --help` explains', createConsumeOptions(), ['--to']],
  ])('has every flag of %s in its table, and no other', (_, text, options, elsewhere) => {
    const documented = namesBehind(text).map((name) => /^--[\w-]+/.exec(name)?.[0]);
    const flags = options.flatMap(({ option }) => [option.long, option.short]);
    const own = flags.filter((flag) => flag?.startsWith('--') && !elsewhere.includes(flag));
    expect(documented.toSorted()).toEqual(own.toSorted());
  });

  it('has every field of the JSON of load and of consume, and no other', () => {
    const ofLoad = namesBehind('`load --json` prints').toSorted();
    expect(ofLoad).toEqual(Object.keys(earlyFailureJson(undefined, new Error('x'))).toSorted());
    const ofConsume = namesBehind('`consume --json` prints').toSorted();
    expect(ofConsume).toEqual(Object.keys(earlyConsumeJson(undefined, new Error('x'))).toSorted());
  });
});
