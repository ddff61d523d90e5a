/**
 * A connection string of `name = value` pairs, as libpq reads it: pairs are separated by spaces, a value with spaces goes in single quotes,
 * and a backslash takes the next character as it is, within quotes and without. A no-break space is no space. Pure.
 */

import { UsageError } from '../../common/errors.js';
import { isSecret, knownParameter, unknownParameter, type Parameters } from './parameters.js';

/** @throws {UsageError} without any part that may belong to a password */
export function parsePairs(text: string, where: string): Parameters {
  const found: Parameters = {};
  const name = /[\t-\r ]*([^=\t-\r ]*)[\t-\r ]*(=?)[\t-\r ]*/y;
  const quoted = /'((?:[^'\\]|\\[\s\S])*)'/y;
  const plain = /(?:[^\t-\r \\]|\\[\s\S]?)*/y;
  // A password with a space and no quotes goes on as the next name, and one with a quote within its quotes.
  let followsSecret = false;
  for (let at = 0; /[^\t-\r ]/.test(text.slice(at));) {
    name.lastIndex = at;
    const [, key = '', equals] = name.exec(text)!;
    if (equals === '') {
      throw new UsageError(
        `${where}: a "=" is missing in the connection string; a value with spaces goes in quotes`,
      );
    }
    const value = text[name.lastIndex] === "'" ? quoted : plain;
    value.lastIndex = name.lastIndex;
    const match = value.exec(text);
    if (match === null) throw new UsageError(`${where}: a quote in the connection string is not closed`);
    at = value.lastIndex;
    const known = knownParameter(key, unescape(match[1] ?? match[0]));
    if (known === undefined) throw unknownParameter(key, where, !followsSecret);
    found[known[0]] = known[1];
    followsSecret = isSecret(known[0]) && (value === plain || /[^\t-\r ]/.test(text.charAt(at)));
  }
  return found;
}

function unescape(text: string): string {
  return text.replace(/\\([\s\S]?)/g, '$1');
}
