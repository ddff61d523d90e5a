/**
 * Decides which connection is tried next, as libpq does. Pure.
 *
 * | failure | next |
 * |---|---|
 * | the address cannot be reached | the host's next address, then the next host |
 * | the server refuses (wrong password, unknown database), or TLS fails | `sslmode` allow and prefer: the same server with the other encryption; else none |
 * | the server is starting up or shutting down | the next host |
 * | an error of this side, such as a missing password | none |
 */

import type { SessionAttributes, SslMode } from '../conninfo/settings.js';

export type Encryption = 'plain' | 'tls';

/** Returns the encryptions to try with one address, in order. */
export function encryptions(mode: SslMode, isSocket: boolean): readonly Encryption[] {
  if (isSocket) return ['plain'];
  switch (mode) {
    case 'disable':
      return ['plain'];
    case 'allow':
      return ['plain', 'tls'];
    case 'prefer':
      return ['tls', 'plain'];
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return ['tls'];
  }
}

/**
 * - `unreachable`: no answer, or none in time
 * - `tls`: reached, but TLS was refused or failed
 * - `refused`: the server's own error
 * - `unavailable`: the server's own error, that it is starting up or shutting down
 * - `fatal`: an error of this side: no password, a method of authentication that is not allowed
 */
export type FailureKind = 'unreachable' | 'tls' | 'refused' | 'unavailable' | 'fatal';

const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'EINVAL',
  'ENOENT',
  'EACCES',
  'ENOTSOCK',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
]);

export function failureKind(error: unknown, encryption: Encryption): FailureKind {
  const { code, message, severity } = error as { code?: unknown; message: string; severity?: unknown };
  if (severity !== undefined) return code === '57P03' ? 'unavailable' : 'refused';
  if (isTimeout(message)) return 'unreachable';
  if (encryption === 'tls' && isTlsFailure(code, message)) return 'tls';
  if (typeof code === 'string' && UNREACHABLE.has(code)) return 'unreachable';
  return message.includes('terminated unexpectedly') ? 'unreachable' : 'fatal';
}

/** Messages of node-postgres and its pool. */
export function isTimeout(message: string): boolean {
  return /timeout exceeded when trying to connect|due to connection timeout|timeout expired/.test(message);
}

function isTlsFailure(code: unknown, message: string): boolean {
  if (
    /not support SSL connections|establishing an SSL connection|before secure TLS connection/.test(message)
  ) {
    return true;
  }
  return (
    typeof code === 'string' && (/^(?:ERR_SSL|ERR_TLS|ERR_OSSL)|CERT|CRL/.test(code) || code === 'EPROTO')
  );
}

export type NextStep = 'other-encryption' | 'next-address' | 'next-host' | 'stop';

/** @param isLastEncryption `true` if no other encryption is left for the address */
export function afterFailure(kind: FailureKind, isLastEncryption: boolean): NextStep {
  switch (kind) {
    case 'unreachable':
      return 'next-address';
    case 'unavailable':
      return 'next-host';
    case 'tls':
    case 'refused':
      return isLastEncryption ? 'stop' : 'other-encryption';
    case 'fatal':
      return 'stop';
  }
}

export interface SessionState {
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
}

/** @returns why the session is not the one that was asked for */
export function unsuitable(wanted: SessionAttributes, state: SessionState): string | undefined {
  switch (wanted) {
    case 'read-write':
      return state.isReadOnly ? 'the session is read-only' : undefined;
    case 'read-only':
      return state.isReadOnly ? undefined : 'the session is not read-only';
    case 'primary':
      return state.isStandby ? 'the server is a standby' : undefined;
    case 'standby':
      return state.isStandby ? undefined : 'the server is not a standby';
    case 'any':
    case 'prefer-standby':
      return undefined;
  }
}

/** `prefer-standby` goes through all hosts twice. */
export function passes(wanted: SessionAttributes): readonly SessionAttributes[] {
  return wanted === 'prefer-standby' ? ['standby', 'any'] : [wanted];
}
