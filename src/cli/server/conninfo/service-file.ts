/** A section of a service file (`pg_service.conf`), as libpq reads it. Pure. */

import { UsageError } from '../../common/errors.js';
import { knownParameter, type Parameters } from './parameters.js';

/** libpq's buffer for a line, less its end. */
const LONGEST_LINE = 1022;

/**
 * @returns `undefined` when the file has no such section
 * @throws {UsageError} naming file and line
 */
export function parseService(text: string, service: string, file: string): Parameters | undefined {
  let found: Parameters | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const place = `service file ${file}, line ${index + 1}`;
    if (Buffer.byteLength(raw) > LONGEST_LINE) throw new UsageError(`${place}: the line is too long`);
    // The spaces of C, as in libpq: a no-break space belongs to a value.
    const line = raw.replace(/^[\t-\r ]+|[\t-\r ]+$/g, '');
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (found !== undefined) return found;
      if (line.startsWith(`[${service}]`)) found = {};
      continue;
    }
    if (found === undefined) continue;
    if (line.startsWith('ldap')) {
      throw new UsageError(`${place}: LDAP is not supported; write the parameters into the file`);
    }
    const equals = line.indexOf('=');
    const name = line.slice(0, Math.max(equals, 0));
    if (name === 'service') throw new UsageError(`${place}: a service cannot name another service`);
    const known = equals === -1 ? undefined : knownParameter(name, line.slice(equals + 1));
    if (known === undefined || name === 'requiressl') {
      throw new UsageError(
        `${place}: expected NAME=VALUE with the name of a connection option, without spaces`,
      );
    }
    // The first one counts.
    found[known[0]] ??= known[1];
  }
  return found;
}
