/** `require_auth`: which ways of authentication the server may ask for. Pure. */

import { UsageError } from '../../common/errors.js';

export type AuthMethod = 'password' | 'md5' | 'gss' | 'sspi' | 'scram-sha-256' | 'oauth';

const METHODS: readonly string[] = ['password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'oauth'];

export interface AuthRequirement {
  allows(method: AuthMethod): boolean;
  /** `true` when the server must not let the client in without any authentication. */
  readonly isRequired: boolean;
  /** As it was given, for messages. */
  readonly text: string;
}

const ANYTHING: AuthRequirement = { allows: () => true, isRequired: false, text: '' };

/** @throws {UsageError} for an unknown method, one that is named twice, and `!` beside methods without it */
export function parseRequireAuth(text: string | undefined): AuthRequirement {
  if (text === undefined || text === '') return ANYTHING;
  const parts = text.split(',');
  const isNegated = parts[0]!.startsWith('!');
  const named = new Set<string>();
  for (const part of parts) {
    if (part.startsWith('!') !== isNegated) {
      throw new UsageError(`require_auth=${text}: methods with ! cannot stand beside methods without it`);
    }
    const method = isNegated ? part.slice(1) : part;
    if (method !== 'none' && !METHODS.includes(method)) {
      throw new UsageError(
        `invalid require_auth value: "${method}"; it takes ${METHODS.join(', ')} and none, each also with !`,
      );
    }
    if (named.has(method)) throw new UsageError(`require_auth=${text}: "${part}" is given more than once`);
    named.add(method);
  }
  return {
    allows: (method) => named.has(method) !== isNegated,
    isRequired: named.has('none') === isNegated,
    text,
  };
}
