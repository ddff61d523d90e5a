/** Removes passwords from a text that people see. Pure; linear in the text's length. */

const URL_START = /\bpostgres(?:ql)?(?::|\/\/)/i;
/**
 * A value ends as in a connection string of pairs or a URL. An escaped space or quote does not end it, also within a text that is itself escaped
 * (JSON). In doubt it takes more.
 */
const PASSWORD_PAIR =
  /((?:ssl)?password|oauth_client_secret|PGPASSWORD)(\s*=\s*)(?:'(?:[^']|(?<=\\)')*'?|(?:\\+[^]|&(?!\w+=)|'(?=\S)|[^\s&"'\\])+)/gi;

/** Shorter parts of a password would also be found in ordinary words. */
const SHORTEST_PART = 3;
const HIDDEN = '…';

/**
 * Removes URLs and the values of `password=…`. A URL is cut from its scheme to the word with the last `@`: a password may hold any character.
 */
export function redactSecrets(text: string): string {
  const pairs = text.replace(PASSWORD_PAIR, '$1$2…');
  const start = URL_START.exec(pairs);
  if (start === null) return pairs;
  const lastAt = pairs.lastIndexOf('@');
  if (lastAt < start.index) return pairs;
  // A user's name alone is no secret, as in the examples of our own messages.
  if (/^postgres(?:ql)?:\/\/[\w.-]*$/i.test(pairs.slice(start.index, lastAt))) return pairs;
  const rest = /^[^\s"]*/.exec(pairs.slice(lastAt))![0];
  return `${pairs.slice(0, start.index)}postgres://…${pairs.slice(lastAt + rest.length)}`;
}

/** Removes also the secrets in a pool's settings. @param pool its options hold the password, or a URL with it */
export function redact(text: string, pool: object): string {
  const { options } = pool as { options?: { password?: unknown; connectionString?: unknown } };
  let safe = text;
  for (const secret of secretsOf(options?.password, options?.connectionString)) {
    safe = safe.replaceAll(secret, HIDDEN);
  }
  return redactSecrets(safe);
}

/** The longest first: one may hold another. */
function secretsOf(password: unknown, url: unknown): string[] {
  const found = new Set<string>();
  if (typeof password === 'string' && password !== '') found.add(password);
  const inUrl = typeof url === 'string' ? /:\/\/[^:@]*:(.*)@/s.exec(url)?.[1] : undefined;
  if (inUrl !== undefined) {
    // A URL that is not escaped is cut at other places than meant: any part may then count as host or port.
    for (const part of [inUrl, ...inUrl.split(/[/?#@:]/)]) {
      for (const form of [part, decoded(part)]) if (form.length >= SHORTEST_PART) found.add(form);
    }
  }
  return [...found].toSorted((a, b) => b.length - a.length);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
