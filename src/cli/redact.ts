/** Takes passwords out of a text that people see. Pure; linear in the text's length. */

const URL_START = /\bpostgres(?:ql)?(?::|\/\/)/i;
const PASSWORD_PAIR = /((?:ssl)?password|oauth_client_secret|PGPASSWORD)(\s*=\s*)(?:'[^']*'?|[^\s&"']+)/gi;

/**
 * A URL is cut from its scheme to the word that holds the last `@`, for a password may hold any character; `password=…` loses its value.
 */
export function redactSecrets(text: string): string {
  const pairs = text.replace(PASSWORD_PAIR, '$1$2…');
  const start = URL_START.exec(pairs);
  if (start === null) return pairs;
  const lastAt = pairs.lastIndexOf('@');
  if (lastAt < start.index) return pairs;
  // A user's name alone is no secret, as in the examples of our own messages.
  if (/:\/\/[\w.-]*$/.test(pairs.slice(start.index, lastAt))) return pairs;
  const rest = /^[^\s"]*/.exec(pairs.slice(lastAt))![0];
  return `${pairs.slice(0, start.index)}postgres://…${pairs.slice(lastAt + rest.length)}`;
}
