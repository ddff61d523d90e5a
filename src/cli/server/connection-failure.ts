/** Explains in one line why no server could be reached. Pure. */

import { oneLine } from '../common/errors.js';
import { isTimeout } from './session/attempts.js';
import { hostLabel, type Host } from './conninfo/hosts.js';
import type { ConnectionSettings } from './conninfo/settings.js';
import { tlsFailure } from './session/tls-failure.js';
import { NoServerError, type FailedAttempt } from './server-search.js';

const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'cannot be reached: nothing listens there (connection refused)',
  ENOTFOUND: 'cannot be reached: the host name is unknown',
  EAI_AGAIN: 'cannot be reached: the host name cannot be looked up now',
  ETIMEDOUT: 'cannot be reached: no answer in time',
  EHOSTUNREACH: 'cannot be reached: no route to the host',
  ENETUNREACH: 'cannot be reached: no route to the network',
  ECONNRESET: 'closed the connection',
  ENOENT: 'cannot be reached: there is no such socket',
  EACCES: 'cannot be reached: permission denied',
};

/** Returns each server with its reasons. The database is named if there is only one server. */
export function connectionFailure(
  error: unknown,
  settings: ConnectionSettings,
  connected: Host | undefined,
): string {
  if (!(error instanceof NoServerError)) {
    const place = connected === undefined ? '' : `${hostLabel(connected)}/${settings.database}: `;
    return `${place}${whyNotConnected(error, settings)}`;
  }
  const reasons = new Map<string, Set<string>>();
  for (const { host, error: cause } of error.attempts) {
    const label = hostLabel(host);
    const known = reasons.get(label) ?? new Set();
    reasons.set(label, known.add(whyNotConnected(cause, settings)));
  }
  // A missing TLS is reported first, and the more useful reason, why it fails without TLS, after it.
  return [...reasons]
    .map(([label, causes]) => {
      const place = reasons.size === 1 ? `${label}/${settings.database}` : label;
      return `${place}: ${lastUseful(causes, error.attempts)}`;
    })
    .join('; ');
}

const WITHOUT_TLS = 'the server does not support TLS';

function lastUseful(causes: ReadonlySet<string>, attempts: readonly FailedAttempt[]): string {
  const useful =
    attempts.length === 1 ? [...causes] : [...causes].filter((cause) => !cause.startsWith(WITHOUT_TLS));
  return (useful.length === 0 ? [...causes] : useful).join(', then ');
}

/** The server's own reason names user and database, and never the password. */
function whyNotConnected(error: unknown, settings: ConnectionSettings): string {
  // A name with several addresses gives one error for each.
  const cause: unknown = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (isTimeout(message)) return CONNECTION_ERRORS['ETIMEDOUT']!;
  if (message.includes('does not support SSL connections')) {
    return `${WITHOUT_TLS}, and sslmode=${settings.tls.mode} asks for it`;
  }
  const reason =
    CONNECTION_ERRORS[code ?? ''] ?? oneLine(tlsFailure(cause as Error, settings.tls) ?? message);
  const fault = code === '28P01' ? settings.passwordFileFault : undefined;
  return fault === undefined ? reason : `${reason}; ${fault}`;
}
