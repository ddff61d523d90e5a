/** Certificates, keys and revocation lists for tests of TLS, made by the program `openssl`. */

import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Names of the files in the folder. */
export const TLS_FILES = {
  ca: 'ca.crt',
  otherCa: 'other.crt',
  server: 'server.crt',
  serverKey: 'server.key',
  client: 'client.crt',
  clientKey: 'client.key',
  encryptedKey: 'encrypted.key',
  keyPassword: 'klartext',
  /** Revokes nothing. */
  emptyList: 'empty.crl',
  /** Revokes the server's certificate. */
  fullList: 'full.crl',
} as const;

/** The server's certificate is for localhost, 127.0.0.1 and *.wild.example; the client's is for `user`. */
export function makeTlsFiles(directory: string, user: string): void {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const write = (name: string, text: string): void => writeFileSync(path.join(directory, name), text);
  write(
    'ca.cnf',
    `[ca]\ndefault_ca = own\n[own]\ndatabase = ${directory}/index.txt\ncrlnumber = ${directory}/crlnumber\n` +
      `default_md = sha256\ndefault_crl_days = 30\n`,
  );
  write('index.txt', '');
  write('crlnumber', '01\n');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const name of ['ca', 'other']) {
    openssl(
      'req',
      '-x509',
      ...key,
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
    );
  }
  const sign = (name: string, subject: string, extension: string): void => {
    openssl('req', ...key, '-subj', `/CN=${subject}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    write(`${name}.ext`, extension);
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '30', '-sha256', '-extfile', `${name}.ext`, '-out', `${name}.crt`],
    );
    chmodSync(path.join(directory, `${name}.key`), 0o600);
  };
  sign('server', 'localhost', 'subjectAltName = DNS:localhost, DNS:*.wild.example, IP:127.0.0.1\n');
  sign('client', user, 'extendedKeyUsage = clientAuth\n');
  const phrase = `pass:${TLS_FILES.keyPassword}`;
  openssl('pkcs8', '-topk8', '-in', 'client.key', '-out', TLS_FILES.encryptedKey, '-passout', phrase);
  chmodSync(path.join(directory, TLS_FILES.encryptedKey), 0o600);
  const list = ['ca', '-config', 'ca.cnf', '-cert', 'ca.crt', '-keyfile', 'ca.key'];
  openssl(...list, '-gencrl', '-out', TLS_FILES.emptyList);
  openssl(...list, '-revoke', 'server.crt');
  openssl(...list, '-gencrl', '-out', TLS_FILES.fullList);
}

/** Gives a server its certificate and key. Returns the statements that make it serve TLS once it reads its settings again. */
export function installTls(data: string, directory: string): string[] {
  for (const name of [TLS_FILES.server, TLS_FILES.serverKey, TLS_FILES.ca])
    writeServerFile(data, name, readFileSync(path.join(directory, name), 'utf8'));
  return [
    `ALTER SYSTEM SET ssl_cert_file = '${TLS_FILES.server}'`,
    `ALTER SYSTEM SET ssl_key_file = '${TLS_FILES.serverKey}'`,
    `ALTER SYSTEM SET ssl_ca_file = '${TLS_FILES.ca}'`,
    'ALTER SYSTEM SET ssl = on',
  ];
}

/** Writes a file among a server's data, with the rights of its own. */
export function writeServerFile(data: string, name: string, content = ''): void {
  const file = path.join(data, name);
  writeFileSync(file, content, { mode: 0o600 });
  const { uid, gid } = statSync(data);
  chownSync(file, uid, gid);
}
