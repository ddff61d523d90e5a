/** What a report was made by. */

import os from 'node:os';

export function versions(): [string, string][] {
  // The build puts the package's version in the place of the variable.
  const own = process.env['SPILLWAY_VERSION'];
  const system = `${os.type()} ${os.arch()}`;
  return [
    ['Spillway', own ?? '(from source)'],
    ['Node.js', process.versions.node],
    ['on', system],
  ];
}
