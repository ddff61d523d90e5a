/** Decides how to reach NATS, from the servers that are named, the flags and the environment. Pure. */

import { UsageError } from '../load/parts.js';
import type { ConsumeFlags } from '../args/options.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Who connects. Files are named by where their path comes from. */
export type NatsIdentity =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'creds' | 'nkey'; readonly file: NamedFile };

export interface NamedFile {
  readonly path: string;
  /** The flag or variable. */
  readonly source: string;
}

export interface NatsSettings {
  /** `host:port` of each. */
  readonly servers: readonly string[];
  readonly identity: NatsIdentity;
  /** The server must speak TLS. */
  readonly needsTls: boolean;
  readonly ca: NamedFile | undefined;
  readonly cert: NamedFile | undefined;
  readonly key: NamedFile | undefined;
}

type ConnectionFlags = Pick<ConsumeFlags, 'servers' | 'creds' | 'nkey' | 'tlsca' | 'tlscert' | 'tlskey'>;

/** @throws {UsageError} which never contains what may be a secret */
export function natsSettings(flags: ConnectionFlags, environment: Environment): NatsSettings {
  const variable = (name: string): string | undefined => environment[name] || undefined;
  const fromUrl = flags.servers.length === 0 ? variable('NATS_URL') : flags.servers.join(',');
  if (fromUrl === undefined) {
    throw new UsageError('no NATS server is named: give nats://host:4222, or set NATS_URL');
  }
  const where = flags.servers.length === 0 ? 'NATS_URL' : 'the server';
  const servers = fromUrl.split(',').map((text) => readServer(text.trim(), where));
  const file = (
    flag: 'creds' | 'nkey' | 'tlsca' | 'tlscert' | 'tlskey',
    name: string,
  ): NamedFile | undefined => {
    const path = flags[flag] ?? variable(name);
    return path === undefined ? undefined : { path, source: flags[flag] === undefined ? name : `--${flag}` };
  };
  return {
    servers: servers.map(({ address }) => address),
    identity: identityOf(servers, flags, variable),
    needsTls: servers.some(({ isTls }) => isTls),
    ca: file('tlsca', 'NATS_CA'),
    cert: file('tlscert', 'NATS_CERT'),
    key: file('tlskey', 'NATS_KEY'),
  };
}

interface Server {
  readonly address: string;
  readonly isTls: boolean;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** An IPv6 address stands in brackets. */
const SERVER = /^(?:(nats|tls):\/\/)?(?:([^]*)@)?(\[[\da-fA-F:.]+\]|[^\s:/?#@[\]]+)(?::(\d{1,5}))?\/?$/;
const LARGEST_PORT = 65_535;

function readServer(text: string, where: string): Server {
  const [, scheme, identity, host, port = '4222'] = SERVER.exec(text) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > LARGEST_PORT) {
    // What stands before the last @ may be a password.
    const shown = JSON.stringify(text.slice(text.lastIndexOf('@') + 1));
    const hint = /^wss?:/.test(text) ? '; WebSockets are not supported' : '';
    throw new UsageError(`${where} must be nats://host:4222 or tls://host:4222, got ${shown}${hint}`);
  }
  const colon = identity?.indexOf(':') ?? -1;
  return {
    address: `${host}:${port}`,
    isTls: scheme === 'tls',
    user: decoded(colon === -1 ? identity : identity!.slice(0, colon), where),
    password: colon === -1 ? undefined : decoded(identity!.slice(colon + 1), where),
  };
}

function decoded(text: string | undefined, where: string): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    throw new UsageError(
      `${where} has a user or password with a % that no two hexadecimal digits follow; write %25`,
    );
  }
}

/** The environment counts only if neither flags nor URL say who connects. */
function identityOf(
  servers: readonly Server[],
  { creds, nkey }: ConnectionFlags,
  variable: (name: string) => string | undefined,
): NatsIdentity {
  const named = servers.filter(({ user }) => user !== undefined);
  const [first] = named;
  if (named.some(({ user, password }) => user !== first!.user || password !== first!.password)) {
    throw new UsageError('the servers name different users: all servers of a cluster take the same one');
  }
  const given: [string, NatsIdentity][] = [];
  if (creds !== undefined)
    given.push(['--creds', { kind: 'creds', file: { path: creds, source: '--creds' } }]);
  if (nkey !== undefined) given.push(['--nkey', { kind: 'nkey', file: { path: nkey, source: '--nkey' } }]);
  if (first !== undefined) given.push(["the server's URL", identityIn(first)]);
  return onlyOne(given) ?? onlyOne(inEnvironment(variable)) ?? { kind: 'none' };
}

function identityIn({ user = '', password }: Server): NatsIdentity {
  return password === undefined ? { kind: 'token', token: user } : { kind: 'password', user, password };
}

function inEnvironment(variable: (name: string) => string | undefined): [string, NatsIdentity][] {
  const found: [string, NatsIdentity][] = [];
  const [creds, nkey, user, token] = ['NATS_CREDS', 'NATS_NKEY', 'NATS_USER', 'NATS_TOKEN'].map(variable);
  if (creds !== undefined)
    found.push(['NATS_CREDS', { kind: 'creds', file: { path: creds, source: 'NATS_CREDS' } }]);
  if (nkey !== undefined)
    found.push(['NATS_NKEY', { kind: 'nkey', file: { path: nkey, source: 'NATS_NKEY' } }]);
  const password = variable('NATS_PASSWORD') ?? '';
  if (user !== undefined) found.push(['NATS_USER', { kind: 'password', user, password }]);
  if (token !== undefined) found.push(['NATS_TOKEN', { kind: 'token', token }]);
  return found;
}

function onlyOne(found: readonly [string, NatsIdentity][]): NatsIdentity | undefined {
  if (found.length <= 1) return found[0]?.[1];
  const names = found.map(([name]) => name).join(' and ');
  throw new UsageError(`${names} exclude each other: a connection has one identity`);
}
