/** Takes what is secret in a pool's settings out of a text. */

/** Shorter parts of a password would take ordinary words with them. */
const SHORTEST_PART = 3;
const HIDDEN = '***';

/** @param pool its options hold the password, or a URL with it */
export function redact(text: string, pool: object): string {
  const { options } = pool as { options?: { password?: unknown; connectionString?: unknown } };
  let safe = text.replace(/:\/\/[^\s/]*@/g, `://${HIDDEN}@`);
  for (const secret of secretsOf(options?.password, options?.connectionString)) {
    safe = safe.replaceAll(secret, HIDDEN);
  }
  return safe;
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
