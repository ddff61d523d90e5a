/**
 * From a connection string and the environment to typed settings, with libpq's order of precedence: the string, then the service file, then
 * the environment, then the defaults. Reads the service file and the password file; opens no connection.
 */

import { UsageError } from '../../common/errors.js';
import type { Machine } from './files.js';
import { parseHosts, type Host } from './hosts.js';
import { nonEmpty, PARAMETERS, assertSupported, type ParameterName, type Parameters } from './parameters.js';
import { isUrl, parseUrl } from './parse-url.js';
import { parsePairs } from './parse-pairs.js';
import { parseRequireAuth, type AuthRequirement } from './require-auth.js';
import { readPasswords, readService } from './settings-files.js';
import { parseStartUpOptions } from './start-up-options.js';

export type Environment = Readonly<Record<string, string | undefined>>;

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

const SESSION_ATTRIBUTES = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const;
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
type TlsVersion = (typeof TLS_VERSIONS)[number];

/** Files as they were given; `undefined` means the default file in `~/.postgresql`, if there is one. */
export interface TlsSettings {
  readonly mode: SslMode;
  readonly isDirect: boolean;
  /** `false` when no client certificate is to be sent. */
  readonly sendsCertificate: boolean;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly keyPassword: string | undefined;
  /** `system` for the roots that the operating system trusts. */
  readonly rootCertificate: string | undefined;
  readonly revocationList: string | undefined;
  readonly revocationDirectory: string | undefined;
  readonly sendsServerName: boolean;
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
}

export interface ConnectionSettings {
  readonly hosts: readonly Host[];
  readonly isShuffled: boolean;
  readonly sessionAttributes: SessionAttributes;
  readonly user: string;
  readonly database: string;
  /** For each host, in the order of `hosts`. */
  readonly passwords: readonly (string | undefined)[];
  /** Why the password file was not used. */
  readonly passwordFileFault: string | undefined;
  readonly requireAuth: AuthRequirement;
  readonly channelBinding: 'disable' | 'prefer' | 'require';
  /** 0 for no limit, `undefined` when none was given. */
  readonly connectTimeoutMs: number | undefined;
  readonly keepAlive: boolean;
  readonly keepAliveIdleMs: number;
  readonly tls: TlsSettings;
  /** What the start-up packet says beside user and database, in its order; names may repeat. */
  readonly startUp: readonly (readonly [name: string, value: string])[];
}

/** libpq sends these by themselves. The value `default` leaves the setting to the server. */
const SESSION_VARIABLES = [
  ['PGDATESTYLE', 'datestyle'],
  ['PGTZ', 'timezone'],
  ['PGGEQO', 'geqo'],
] as const;

export interface SettingsSource {
  /** A URL or `name=value` pairs; `undefined` when the environment alone decides. */
  readonly text: string | undefined;
  /** What the text came by, for messages. */
  readonly where: string;
  readonly environment: Environment;
  readonly machine: Machine;
}

/**
 * @throws {UsageError} for whatever libpq or Spillway refuses; the message never contains a password
 */
export async function readSettings(source: SettingsSource): Promise<ConnectionSettings> {
  const { environment, machine } = source;
  const given = parseConnectionString(source.text, source.where);
  const service = await readService(given, environment, machine);
  const parameters: Parameters = { ...fromEnvironment(environment), ...service, ...given };
  const isModeGiven = parameters.sslmode !== undefined;
  if (!isModeGiven && environment['PGREQUIRESSL']?.startsWith('1') === true) parameters.sslmode = 'require';
  assertSupported(parameters);
  const hosts = parseHosts(parameters);
  rejectForSockets(parameters, hosts);
  const user = nonEmpty(parameters.user) ?? machine.userName;
  if (user === '') throw new UsageError('the user of the server is not known: give user, or set PGUSER');
  const database = nonEmpty(parameters.dbname) ?? user;
  const target = { hosts, user, database };
  const { passwords, fault } = await readPasswords(parameters, target, environment, machine);
  return {
    hosts,
    isShuffled: oneOf(parameters, 'load_balance_hosts', ['disable', 'random'], 'disable') === 'random',
    sessionAttributes: oneOf(parameters, 'target_session_attrs', SESSION_ATTRIBUTES, 'any'),
    user,
    database,
    passwords,
    passwordFileFault: fault,
    requireAuth: parseRequireAuth(parameters.require_auth),
    channelBinding: oneOf(parameters, 'channel_binding', ['disable', 'prefer', 'require'], 'prefer'),
    connectTimeoutMs: connectTimeout(parameters),
    keepAlive: integer(parameters, 'keepalives', 1) !== 0,
    keepAliveIdleMs: 1000 * Math.max(integer(parameters, 'keepalives_idle', 0), 0),
    tls: tlsSettings(parameters),
    startUp: startUpParameters(parameters, environment),
  };
}

/** @throws {UsageError} for a text that is neither a URL nor pairs */
export function parseConnectionString(text: string | undefined, where: string): Parameters {
  if (text === undefined) return {};
  if (isUrl(text)) return parseUrl(text, where);
  if (text.includes('=')) return parsePairs(text, where);
  throw new UsageError(
    `${where} must be a URL such as postgres://user@host:5432/database, or pairs such as "host=db.example dbname=shop"`,
  );
}

function fromEnvironment(environment: Environment): Parameters {
  const found: Parameters = {};
  for (const parameter of PARAMETERS) {
    const value = 'variable' in parameter ? environment[parameter.variable] : undefined;
    if (value !== undefined) found[parameter.name] = value;
  }
  return found;
}

function rejectForSockets({ requirepeer }: Parameters, hosts: readonly Host[]): void {
  if (nonEmpty(requirepeer) === undefined || !hosts.some(({ isSocket }) => isSocket)) return;
  throw new UsageError(
    'the connection option requirepeer is refused: Node.js does not tell who is at the other end of a socket; ' +
      'connect by TCP with sslmode=verify-full, or use a socket in a directory that only the server may write to',
  );
}

function tlsSettings(parameters: Parameters): TlsSettings {
  const rootCertificate = nonEmpty(parameters.sslrootcert);
  const mode = oneOf(
    parameters,
    'sslmode',
    SSL_MODES,
    rootCertificate === 'system' ? 'verify-full' : 'prefer',
  );
  if (rootCertificate === 'system' && mode !== 'verify-full') {
    throw new UsageError(`sslmode=${mode} is too weak for sslrootcert=system: use sslmode=verify-full`);
  }
  const isDirect = oneOf(parameters, 'sslnegotiation', ['postgres', 'direct'], 'postgres') === 'direct';
  if (isDirect && ['disable', 'allow', 'prefer'].includes(mode)) {
    throw new UsageError(
      `sslmode=${mode} is too weak for sslnegotiation=direct: use require, verify-ca or verify-full`,
    );
  }
  const minVersion = tlsVersion(parameters, 'ssl_min_protocol_version', 'TLSv1.2');
  const maxVersion = tlsVersion(parameters, 'ssl_max_protocol_version', undefined);
  if (minVersion !== undefined && maxVersion !== undefined && minVersion > maxVersion) {
    throw new UsageError('ssl_min_protocol_version is above ssl_max_protocol_version');
  }
  const key = nonEmpty(parameters.sslkey);
  if (key?.includes(':') === true) {
    throw new UsageError(
      'sslkey with a colon names a key in an OpenSSL engine, which is not supported: give a file',
    );
  }
  return {
    mode,
    isDirect,
    sendsCertificate: parameters.sslcertmode !== 'disable',
    certificate: nonEmpty(parameters.sslcert),
    key,
    keyPassword: parameters.sslpassword,
    rootCertificate,
    revocationList: nonEmpty(parameters.sslcrl),
    revocationDirectory: nonEmpty(parameters.sslcrldir),
    sendsServerName: (parameters.sslsni ?? '1').startsWith('1'),
    minVersion,
    maxVersion,
  };
}

function tlsVersion(
  parameters: Parameters,
  name: ParameterName,
  missing: TlsVersion | undefined,
): TlsVersion | undefined {
  const text = parameters[name];
  if (text === undefined) return missing;
  if (text === '') return undefined;
  const version = TLS_VERSIONS.find((known) => known.toLowerCase() === text.toLowerCase());
  if (version !== undefined) return version;
  throw invalid(name, text, TLS_VERSIONS);
}

function startUpParameters(parameters: Parameters, environment: Environment): [string, string][] {
  const options = parameters.options ?? '';
  const { settings, hasOthers } = parseStartUpOptions(options);
  const found: [string, string][] = hasOthers ? [['options', options]] : [];
  for (const [name, value] of settings) {
    if (/^client_encoding$/i.test(name)) assertEncoding(value, 'options');
    else if (!hasOthers) found.push([name, value]);
  }
  const encoding = nonEmpty(parameters.client_encoding);
  if (encoding !== undefined && encoding !== 'auto') assertEncoding(encoding, 'client_encoding');
  const application = parameters.application_name ?? parameters.fallback_application_name ?? 'spillway';
  if (application !== '') found.push(['application_name', application]);
  for (const [variable, name] of SESSION_VARIABLES) {
    const value = environment[variable];
    if (value !== undefined && value.toLowerCase() !== 'default') found.push([name, value]);
  }
  return found;
}

function assertEncoding(value: string, name: string): void {
  // As the server compares names of encodings.
  const encoding = value.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (encoding === 'utf8' || encoding === 'unicode') return;
  throw new UsageError(
    `${name}: the client encoding ${JSON.stringify(value)} is refused, for Spillway reads and sends UTF-8: ` +
      'leave it out, and convert files with iconv',
  );
}

function connectTimeout(parameters: Parameters): number | undefined {
  if (parameters.connect_timeout === undefined) return undefined;
  const seconds = integer(parameters, 'connect_timeout', 0);
  // As in libpq: a single second might be over at once.
  return seconds <= 0 ? 0 : 1000 * Math.max(seconds, 2);
}

function integer(parameters: Parameters, name: ParameterName, missing: number): number {
  const text = parameters[name];
  if (text === undefined) return missing;
  const value = /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : NaN;
  if (Math.abs(value) <= 2_147_483_647) return value;
  throw new UsageError(`invalid ${name} value: ${JSON.stringify(text)}; it must be a whole number`);
}

function oneOf<const Value extends string>(
  parameters: Parameters,
  name: ParameterName,
  values: readonly Value[],
  missing: Value,
): Value {
  const text = parameters[name];
  if (text === undefined) return missing;
  const value = values.find((known) => known === text);
  if (value !== undefined) return value;
  throw invalid(name, text, values);
}

function invalid(name: string, text: string, values: readonly string[]): UsageError {
  return new UsageError(`invalid ${name} value: ${JSON.stringify(text)}; it must be ${values.join(', ')}`);
}
