import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PARAMETERS, UNSUPPORTED_NAMES } from '../../../../src/cli/server/conninfo/parameters.js';

const guide = readFileSync(new URL('../../../../src/cli/server/README.md', import.meta.url), 'utf8');
const rows = guide.split('\n').filter((line) => line.startsWith('|'));

it.each(PARAMETERS.map((parameter) => [parameter.name, parameter] as const))(
  'the guide has one row for %s, with its variable',
  (name, parameter) => {
    const found = rows.filter((line) => line.split('|')[1]!.includes(`\`${name}\``));
    expect(found).toHaveLength(1);
    const row = found[0]!;
    if ('variable' in parameter) expect(row).toContain(`\`${parameter.variable}\``);
    if (UNSUPPORTED_NAMES.includes(name)) expect(row).toMatch(/refused|includes 3\.0/);
  },
);
