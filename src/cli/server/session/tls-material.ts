/**
 * Certificates and keys for TLS, read and checked before the first connection, so that a fault is reported with its file and parameter.
 *
 * As in libpq, a file that was not named is taken from `~/.postgresql` if it is there. A file that was named must be there.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { CliError, oneLine } from '../../common/errors.js';
import { inHome, type Machine } from '../conninfo/files.js';
import type { Environment, TlsSettings } from '../conninfo/settings.js';

export interface TlsMaterial {
  /** `undefined` when the server's certificate is not checked. */
  readonly ca: string | Buffer | undefined;
  readonly verifiesHost: boolean;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly passphrase: string | undefined;
  readonly crl: Buffer[];
}

/** Where the operating system keeps the roots that it trusts. */
const SYSTEM_ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** @throws {CliError} naming the parameter and the file */
export async function readTlsMaterial(
  tls: TlsSettings,
  environment: Environment,
  machine: Machine,
): Promise<TlsMaterial> {
  const files = new TlsFiles(environment, machine);
  const { ca, verifies } = await readRoots(tls, files, environment);
  const { cert, key } = tls.sendsCertificate
    ? await readClientCertificate(tls, files)
    : { cert: undefined, key: undefined };
  return {
    ca,
    verifiesHost: verifies && tls.mode === 'verify-full',
    cert,
    key,
    passphrase: tls.keyPassword,
    crl: verifies ? await readRevocations(tls, files) : [],
  };
}

async function readRoots(
  tls: TlsSettings,
  files: TlsFiles,
  environment: Environment,
): Promise<{ ca: string | Buffer | undefined; verifies: boolean }> {
  const isVerified = tls.mode === 'verify-ca' || tls.mode === 'verify-full';
  if (tls.rootCertificate === 'system') return { ca: await systemRoots(files, environment), verifies: true };
  const root = await files.read('sslrootcert', tls.rootCertificate, 'root.crt');
  if (root !== undefined) {
    check(() => new X509Certificate(root.content), 'sslrootcert', root.file);
    // As in libpq: a root certificate at hand is used, so that sslmode=require is as good as verify-ca.
    return { ca: root.content, verifies: true };
  }
  if (!isVerified) return { ca: undefined, verifies: false };
  throw new CliError(
    `sslrootcert: the root certificate ${files.defaultFile('root.crt')} does not exist, and sslmode=${tls.mode} needs one: ` +
      'give sslrootcert=FILE, or sslrootcert=system for the roots that this machine trusts',
  );
}

async function systemRoots(files: TlsFiles, environment: Environment): Promise<string | Buffer> {
  const own = environment['SSL_CERT_FILE'];
  for (const file of own === undefined ? SYSTEM_ROOTS : [own]) {
    const found = await files.readIfThere('sslrootcert', file);
    if (found !== undefined) return found.content;
  }
  // Loaded here, for that takes Node some time.
  const { rootCertificates } = await import('node:tls');
  return rootCertificates.join('\n');
}

async function readClientCertificate(
  tls: TlsSettings,
  files: TlsFiles,
): Promise<{ cert: Buffer | undefined; key: Buffer | undefined }> {
  const cert = await files.read('sslcert', tls.certificate, 'postgresql.crt');
  if (cert === undefined) {
    if (tls.key !== undefined) await files.read('sslkey', tls.key, 'postgresql.key');
    return { cert: undefined, key: undefined };
  }
  check(() => new X509Certificate(cert.content), 'sslcert', cert.file);
  const key = await files.read('sslkey', tls.key, 'postgresql.key');
  if (key === undefined) {
    throw new CliError(
      `sslkey: the private key ${files.defaultFile('postgresql.key')} does not exist, and the certificate ${cert.file} needs one`,
    );
  }
  const isOwnedByRoot = key.uid === 0;
  if ((key.mode & (isOwnedByRoot ? 0o037 : 0o077)) !== 0) {
    throw new CliError(
      `sslkey: the private key ${key.file} is open to others: its permissions must be 0600 or less, or 0640 or less if root owns it`,
    );
  }
  const hint = tls.keyPassword === undefined ? ' (an encrypted key needs sslpassword)' : '';
  check(
    () => createPrivateKey({ key: key.content, passphrase: tls.keyPassword ?? '' }),
    'sslkey',
    key.file,
    hint,
  );
  return { cert: cert.content, key: key.content };
}

async function readRevocations(tls: TlsSettings, files: TlsFiles): Promise<Buffer[]> {
  // As in libpq, the default list is looked for when neither parameter is given.
  const list =
    tls.revocationDirectory === undefined || tls.revocationList !== undefined
      ? await files.read('sslcrl', tls.revocationList, 'root.crl')
      : undefined;
  const found = list === undefined ? [] : [list.content];
  if (tls.revocationDirectory === undefined) return found;
  let names: string[];
  try {
    names = await readdir(tls.revocationDirectory);
  } catch (error) {
    throw unreadable('sslcrldir', tls.revocationDirectory, error);
  }
  // The names that "openssl rehash" gives.
  for (const name of names.filter((entry) => /^[0-9a-f]{8}\.r\d+$/i.test(entry)).sort()) {
    const file = await files.readIfThere('sslcrldir', path.join(tls.revocationDirectory, name));
    if (file !== undefined) found.push(file.content);
  }
  return found;
}

interface ReadFile {
  readonly file: string;
  readonly content: Buffer;
  readonly mode: number;
  readonly uid: number;
}

class TlsFiles {
  readonly #environment: Environment;
  readonly #machine: Machine;

  constructor(environment: Environment, machine: Machine) {
    this.#environment = environment;
    this.#machine = machine;
  }

  defaultFile(name: string): string {
    return (
      inHome(path.join('.postgresql', name), this.#machine, this.#environment) ?? `~/.postgresql/${name}`
    );
  }

  async read(parameter: string, given: string | undefined, name: string): Promise<ReadFile | undefined> {
    const found = await this.readIfThere(parameter, given ?? this.defaultFile(name));
    if (found === undefined && given !== undefined) {
      throw new CliError(`${parameter}: the file ${given} does not exist`);
    }
    return found;
  }

  async readIfThere(parameter: string, file: string): Promise<ReadFile | undefined> {
    try {
      const found = await this.#machine.readFile(file);
      return found && { file, ...found };
    } catch (error) {
      throw unreadable(parameter, file, error);
    }
  }
}

function unreadable(parameter: string, file: string, error: unknown): CliError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new CliError(`${parameter}: ${file} cannot be read: ${code ?? oneLine(message)}`);
}

function check(read: () => unknown, parameter: string, file: string, hint = ''): void {
  try {
    read();
  } catch (error) {
    throw new CliError(`${parameter}: ${file} cannot be used: ${oneLine((error as Error).message)}${hint}`);
  }
}
