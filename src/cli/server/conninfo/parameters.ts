/** The connection parameters of libpq 15 to 18, their environment variables, and those that are refused. Pure data. */

import { UsageError } from '../../common/errors.js';

export interface Parameter {
  readonly name: string;
  /** Read when neither the string nor the service file gives the parameter. */
  readonly variable?: string;
  /** Not for messages. */
  readonly isSecret?: true;
}

export const PARAMETERS = [
  { name: 'service', variable: 'PGSERVICE' },
  { name: 'user', variable: 'PGUSER' },
  { name: 'password', variable: 'PGPASSWORD', isSecret: true },
  { name: 'passfile', variable: 'PGPASSFILE' },
  { name: 'channel_binding', variable: 'PGCHANNELBINDING' },
  { name: 'connect_timeout', variable: 'PGCONNECT_TIMEOUT' },
  { name: 'dbname', variable: 'PGDATABASE' },
  { name: 'host', variable: 'PGHOST' },
  { name: 'hostaddr', variable: 'PGHOSTADDR' },
  { name: 'port', variable: 'PGPORT' },
  { name: 'client_encoding', variable: 'PGCLIENTENCODING' },
  { name: 'options', variable: 'PGOPTIONS' },
  { name: 'application_name', variable: 'PGAPPNAME' },
  { name: 'fallback_application_name' },
  { name: 'keepalives' },
  { name: 'keepalives_idle' },
  { name: 'keepalives_interval' },
  { name: 'keepalives_count' },
  { name: 'tcp_user_timeout' },
  { name: 'sslmode', variable: 'PGSSLMODE' },
  { name: 'sslnegotiation', variable: 'PGSSLNEGOTIATION' },
  { name: 'sslcompression', variable: 'PGSSLCOMPRESSION' },
  { name: 'sslcert', variable: 'PGSSLCERT' },
  { name: 'sslkey', variable: 'PGSSLKEY' },
  { name: 'sslcertmode', variable: 'PGSSLCERTMODE' },
  { name: 'sslpassword', isSecret: true },
  { name: 'sslrootcert', variable: 'PGSSLROOTCERT' },
  { name: 'sslcrl', variable: 'PGSSLCRL' },
  { name: 'sslcrldir', variable: 'PGSSLCRLDIR' },
  { name: 'sslsni', variable: 'PGSSLSNI' },
  { name: 'requirepeer', variable: 'PGREQUIREPEER' },
  { name: 'require_auth', variable: 'PGREQUIREAUTH' },
  { name: 'min_protocol_version', variable: 'PGMINPROTOCOLVERSION' },
  { name: 'max_protocol_version', variable: 'PGMAXPROTOCOLVERSION' },
  { name: 'ssl_min_protocol_version', variable: 'PGSSLMINPROTOCOLVERSION' },
  { name: 'ssl_max_protocol_version', variable: 'PGSSLMAXPROTOCOLVERSION' },
  { name: 'gssencmode', variable: 'PGGSSENCMODE' },
  { name: 'krbsrvname', variable: 'PGKRBSRVNAME' },
  { name: 'gsslib', variable: 'PGGSSLIB' },
  { name: 'gssdelegation', variable: 'PGGSSDELEGATION' },
  { name: 'replication' },
  { name: 'target_session_attrs', variable: 'PGTARGETSESSIONATTRS' },
  { name: 'load_balance_hosts', variable: 'PGLOADBALANCEHOSTS' },
  { name: 'scram_client_key', isSecret: true },
  { name: 'scram_server_key', isSecret: true },
  { name: 'oauth_issuer' },
  { name: 'oauth_client_id' },
  { name: 'oauth_client_secret', isSecret: true },
  { name: 'oauth_scope' },
  { name: 'sslkeylogfile' },
] as const satisfies readonly Parameter[];

export type ParameterName = (typeof PARAMETERS)[number]['name'];

/** What a string, a service file or the environment gives. An empty text counts as given, as in libpq. */
export type Parameters = Partial<Record<ParameterName, string>>;

const BY_NAME: ReadonlyMap<string, Parameter> = new Map(
  PARAMETERS.map((parameter) => [parameter.name, parameter]),
);

/**
 * Returns the value under its present name. `requiressl` is the old form of `sslmode`.
 *
 * @returns `undefined` for a name that libpq does not have
 */
export function knownParameter(name: string, value: string): [ParameterName, string] | undefined {
  if (name === 'requiressl') return ['sslmode', value.startsWith('1') ? 'require' : 'prefer'];
  return BY_NAME.has(name) ? [name as ParameterName, value] : undefined;
}

/** Whether the value of a parameter is not for messages. */
export function isSecret(name: ParameterName): boolean {
  return BY_NAME.get(name)?.isSecret === true;
}

/** Names that are shown in a message. Anything else may be a part of a password. */
const SHOWN_NAME = /^[A-Za-z][A-Za-z0-9_]{0,40}$/;

/** @param isShown `false` when the name may be a part of a password */
export function unknownParameter(name: string, where: string, isShown = true): UsageError {
  return new UsageError(
    isShown && SHOWN_NAME.test(name)
      ? `${where}: invalid connection option "${name}"`
      : `${where}: a connection option is unknown; it is not shown, for it may be a part of a password`,
  );
}

interface Unsupported {
  /** Values that change nothing, and are accepted. Compared in lower case. */
  readonly accepted: readonly string[];
  readonly instead: string;
}

const UNSUPPORTED: Partial<Record<ParameterName, Unsupported>> = {
  keepalives_interval: {
    accepted: ['0'],
    instead: 'Node.js cannot set it (it sends a probe each second); leave it out',
  },
  keepalives_count: { accepted: ['0'], instead: 'Node.js cannot set it (it sends ten probes); leave it out' },
  tcp_user_timeout: {
    accepted: ['0'],
    instead: 'Node.js cannot set it; leave it out, a batch without an answer is timed out anyway',
  },
  sslcompression: {
    accepted: ['0'],
    instead: 'TLS compression is unsafe and not supported; leave it out',
  },
  sslcertmode: {
    accepted: ['allow', 'disable'],
    instead: 'it must be allow or disable: Node.js does not tell whether the server asked for a certificate',
  },
  gssencmode: {
    accepted: ['disable', 'prefer'],
    instead: 'Kerberos encryption is not supported; use sslmode=verify-full',
  },
  gssdelegation: { accepted: ['0'], instead: 'Kerberos is not supported; leave it out' },
  replication: {
    accepted: ['false', 'off', 'no', '0'],
    instead: 'a replication connection can load nothing; leave it out',
  },
  min_protocol_version: { accepted: ['3.0'], instead: 'the protocol is 3.0; leave it out' },
  max_protocol_version: {
    accepted: ['3.0', '3.2', 'latest'],
    instead: 'it must be 3.0, 3.2 or latest; the protocol is 3.0',
  },
  scram_client_key: { accepted: [], instead: 'it is not supported; give the password' },
  scram_server_key: { accepted: [], instead: 'it is not supported; give the password' },
  oauth_issuer: { accepted: [], instead: 'OAuth is not supported; use a password or a client certificate' },
  oauth_client_id: {
    accepted: [],
    instead: 'OAuth is not supported; use a password or a client certificate',
  },
  oauth_client_secret: {
    accepted: [],
    instead: 'OAuth is not supported; use a password or a client certificate',
  },
  oauth_scope: { accepted: [], instead: 'OAuth is not supported; use a password or a client certificate' },
  sslkeylogfile: { accepted: [], instead: 'it is not supported; leave it out' },
};

/** @throws {UsageError} for a parameter that libpq has and Spillway does not honour, unless its value changes nothing */
export function assertSupported(parameters: Parameters): void {
  for (const name of Object.keys(parameters) as ParameterName[]) {
    const refusal = UNSUPPORTED[name];
    const value = parameters[name];
    if (refusal === undefined || value === undefined || value === '') continue;
    if (refusal.accepted.includes(value.toLowerCase())) continue;
    const shown = isSecret(name) ? name : `${name}=${value}`;
    throw new UsageError(`the connection option ${shown} is refused: ${refusal.instead}`);
  }
}

/** Only names, for the guide and its test. */
export const UNSUPPORTED_NAMES: readonly string[] = Object.keys(UNSUPPORTED);

/** As in libpq, a parameter without a value counts as not given. */
export function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
