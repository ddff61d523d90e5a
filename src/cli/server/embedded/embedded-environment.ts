/** The environment of the embedded server's programs. */

/** Where the shell finds its tools if the caller has no PATH. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * Nothing of the caller's but PATH: variables hold secrets, and some would lead the server elsewhere (PG*, LD_PRELOAD). Messages do not
 * depend on the language.
 */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'] ?? DEFAULT_PATH, LC_ALL: 'C', TZ: 'UTC' };
}
