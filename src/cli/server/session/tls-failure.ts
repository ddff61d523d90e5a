/** Explains why TLS failed, with the setting that helps. Pure. */

import type { TlsSettings } from '../conninfo/settings.js';

const OTHER_ROOT = 'name the root certificate that has signed it (sslrootcert=FILE)';
const OWN_CERTIFICATE = 'sslcert and sslkey name the one to send';

/** By Node's code of the error; the names of OpenSSL's are in its manual, "x509_verify_cert_error_string". */
const TLS_ERRORS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED:
    "the server's certificate, or the root in sslrootcert, has expired: renew it on the server",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet: look at the clocks of both machines",
  CERT_REVOKED: "the server's certificate was revoked (it is on the list in sslcrl or sslcrldir)",
  CRL_HAS_EXPIRED: 'the revocation list has expired: renew it (sslcrl, sslcrldir)',
  CRL_NOT_YET_VALID: 'the revocation list is not valid yet (sslcrl, sslcrldir)',
  UNABLE_TO_GET_CRL:
    "there is no revocation list of the authority that has signed the server's certificate (sslcrl, sslcrldir)",
  CERT_SIGNATURE_FAILURE: `the signature of the server's certificate is wrong: ${OTHER_ROOT}`,
  DEPTH_ZERO_SELF_SIGNED_CERT: `the server's certificate is signed by itself, and not trusted: ${OTHER_ROOT}`,
  SELF_SIGNED_CERT_IN_CHAIN: `the server's certificate is signed by an unknown authority: ${OTHER_ROOT}`,
  UNABLE_TO_GET_ISSUER_CERT: `the server's certificate is signed by an unknown authority: ${OTHER_ROOT}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `the server's certificate is signed by an unknown authority: ${OTHER_ROOT}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `the server's certificate is signed by an unknown authority: ${OTHER_ROOT}`,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: `the server asks for a client certificate: ${OWN_CERTIFICATE}`,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: `the server does not trust the authority of the client certificate: ${OWN_CERTIFICATE}`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: `the client certificate has expired: ${OWN_CERTIFICATE}`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: `the server has revoked the client certificate: ${OWN_CERTIFICATE}`,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: `the server does not take the client certificate: ${OWN_CERTIFICATE}`,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'the server takes no version of TLS that this Node has',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the server offers only a version of TLS that this Node refuses',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what listens there does not speak TLS: look at host and port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'what listens there does not speak TLS: look at host and port',
};

/** Returns what failed; undefined if it was not TLS. */
export function tlsFailure(error: NodeJS.ErrnoException, tls: TlsSettings): string | undefined {
  const { code = '' } = error;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `${error.message}: give the host under a name of the certificate, or sslmode=verify-ca, which compares no names`;
  }
  const known = TLS_ERRORS[code];
  if (known !== undefined) return `${known} (sslmode=${tls.mode})`;
  if (code === 'EPROTO' || /^ERR_(SSL|TLS|OSSL)_/.test(code)) {
    return `TLS failed (sslmode=${tls.mode}): ${error.message.trim()}`;
  }
  return undefined;
}
