/** Whether a server's certificate is for the host that was asked for, by libpq's rules. Pure. */

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

const NO_GUESSES = { partialWildcards: false, multiLabelWildcards: false } as const;

/**
 * Alternative names are compared first. The common name counts only when the certificate has no alternative name of the host's own kind
 * (address or DNS name).
 *
 * @param certificate in DER
 */
export function isForHost(certificate: Uint8Array, host: string): boolean {
  const parsed = new X509Certificate(certificate);
  const isAddress = isIP(host) !== 0;
  if (isAddress && parsed.checkIP(host) !== undefined) return true;
  if (parsed.checkHost(host, { ...NO_GUESSES, subject: 'never' }) !== undefined) return true;
  const ownKind = isAddress ? /(?:^|, )IP Address:/ : /(?:^|, )DNS:/;
  if (ownKind.test(parsed.subjectAltName ?? '')) return false;
  return parsed.checkHost(host, { ...NO_GUESSES, subject: 'always' }) !== undefined;
}
