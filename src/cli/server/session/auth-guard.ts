/**
 * Enforces `require_auth` and `channel_binding` during the login: node-postgres answers every request of a server.
 *
 * Requests after the login do not come this far: they break the protocol.
 */

import type { EventEmitter } from 'node:events';
import type { AuthMethod, AuthRequirement } from '../conninfo/require-auth.js';

export interface AuthPolicy {
  readonly requireAuth: AuthRequirement;
  readonly requiresChannelBinding: boolean;
}

/** The part of node-postgres' connection that is used: an emitter of the server's messages. */
export interface GuardedConnection extends EventEmitter {
  readonly stream: { destroy(): unknown };
}

const REQUESTS = [
  'authenticationCleartextPassword',
  'authenticationMD5Password',
  'authenticationSASL',
  'authenticationSASLContinue',
  'authenticationSASLFinal',
] as const;

const METHODS: Readonly<Record<(typeof REQUESTS)[number], AuthMethod>> = {
  authenticationCleartextPassword: 'password',
  authenticationMD5Password: 'md5',
  authenticationSASL: 'scram-sha-256',
  authenticationSASLContinue: 'scram-sha-256',
  authenticationSASLFinal: 'scram-sha-256',
};

/** Checks each request before node-postgres answers it. Call it after `client.connect()`, when the listeners are there. */
export function guardAuthentication(connection: GuardedConnection, policy: AuthPolicy): void {
  const state = new AuthState(policy);
  const reject = (reason: string): void => {
    connection.emit('error', new Error(reason));
    connection.stream.destroy();
  };
  for (const event of REQUESTS) {
    const answers = connection.listeners(event) as ((message: unknown) => void)[];
    connection.removeAllListeners(event);
    connection.on(event, (message: { mechanisms?: readonly string[] }) => {
      const fault = state.request(event, message.mechanisms);
      if (fault === undefined) for (const answer of answers) answer.call(connection, message);
      else reject(fault);
    });
  }
  connection.on('authenticationOk', () => {
    const fault = state.accepted();
    if (fault !== undefined) reject(fault);
  });
}

const METHOD_NAMES: Readonly<Record<AuthMethod, string>> = {
  password: 'a password in clear',
  md5: 'an MD5 password',
  'scram-sha-256': 'SCRAM',
  gss: 'Kerberos',
  sspi: 'SSPI',
  oauth: 'OAuth',
};

/** Exported for its test. */
export class AuthState {
  readonly #policy: AuthPolicy;
  #isBound = false;
  #isFinished = false;

  constructor(policy: AuthPolicy) {
    this.#policy = policy;
  }

  /** Returns why the request is rejected, if it is. */
  request(event: (typeof REQUESTS)[number], mechanisms: readonly string[] = []): string | undefined {
    const method = METHODS[event];
    const { requireAuth, requiresChannelBinding } = this.#policy;
    if (!requireAuth.allows(method)) {
      return `the server asks for ${METHOD_NAMES[method]}, which require_auth=${requireAuth.text} does not allow`;
    }
    if (event === 'authenticationSASL') this.#isBound = mechanisms.includes('SCRAM-SHA-256-PLUS');
    if (requiresChannelBinding && !this.#isBound) {
      return `channel_binding=require: the server asks for ${METHOD_NAMES[method]}, without channel binding`;
    }
    // Password and MD5 end with our answer; SCRAM when the server has proved that it knows the password.
    this.#isFinished = method !== 'scram-sha-256' || event === 'authenticationSASLFinal';
    return undefined;
  }

  /** Returns why the accepted login is rejected, if it is. */
  accepted(): string | undefined {
    const { requireAuth, requiresChannelBinding } = this.#policy;
    if (requireAuth.isRequired && !this.#isFinished) {
      return `the server accepts the login without authentication, which require_auth=${requireAuth.text} does not allow`;
    }
    if (requiresChannelBinding && !(this.#isBound && this.#isFinished)) {
      return 'channel_binding=require: the server accepts the login without channel binding';
    }
    return undefined;
  }
}
