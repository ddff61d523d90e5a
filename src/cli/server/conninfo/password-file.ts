/** The password file (`.pgpass`), as libpq reads it: `host:port:database:user:password` on each line. Pure. */

export interface PasswordKey {
  /** `localhost` for a socket in the default directory. */
  readonly host: string;
  readonly port: string;
  readonly database: string;
  readonly user: string;
}

/** @returns the password of the first line that fits */
export function findPassword(text: string, key: PasswordKey): string | undefined {
  for (const raw of text.split('\n')) {
    if (raw.startsWith('#')) continue;
    let rest: string | undefined = raw.replace(/\r+$/, '');
    for (const token of [key.host, key.port, key.database, key.user]) {
      rest = rest === undefined ? undefined : afterField(rest, token);
    }
    if (rest !== undefined && raw.trim() !== '') return unescapePassword(rest);
  }
  return undefined;
}

/**
 * A colon within `token` may stand as it is, as in an IPv6 address.
 *
 * @returns what follows the field's colon, or `undefined` when the field is neither `token` nor `*`
 */
function afterField(text: string, token: string): string | undefined {
  if (text.startsWith('*:')) return text.slice(2);
  let at = 0;
  for (const character of token) {
    if (text[at] === '\\') at += 1;
    if (!text.startsWith(character, at)) return undefined;
    at += character.length;
  }
  return text[at] === ':' ? text.slice(at + 1) : undefined;
}

/** The password ends at a bare colon. */
function unescapePassword(text: string): string {
  const [password] = /^(?:[^\\:]|\\[\s\S]|\\$)*/.exec(text)!;
  return password.replace(/\\([\s\S])/g, '$1');
}
