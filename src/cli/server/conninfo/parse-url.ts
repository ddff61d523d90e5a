/**
 * A connection URL, as libpq reads it: `postgresql://[user[:password]@][host][:port][,…][/dbname][?name=value&…]`.
 *
 * It is not the syntax of `new URL()`: there may be several hosts, a host may be empty or a percent-encoded directory, and a password may
 * hold `#`, `?` and `:` as they are. Pure. No message repeats a part of the URL that may belong to a password.
 */

import { UsageError } from '../../common/errors.js';
import {
  isSecret,
  knownParameter,
  unknownParameter,
  type ParameterName,
  type Parameters,
} from './parameters.js';
import { percentDecode } from './percent.js';

const PREFIX = /^postgres(?:ql)?:\/\//;
const ESCAPES = 'in a password, write / as %2F, ? as %3F, # as %23, @ as %40, : as %3A and % as %25';

export function isUrl(text: string): boolean {
  return PREFIX.test(text);
}

/**
 * @param where what the URL came by, for messages: `--to` or `DATABASE_URL`
 * @throws {UsageError} without the URL in it
 */
export function parseUrl(url: string, where: string): Parameters {
  const found: Parameters = {};
  const set = (name: ParameterName, text: string): void => {
    if (text === '') return;
    found[name] = decoded(text, name, where);
  };
  let rest = url.replace(PREFIX, '');
  const credentials = /^[^@/]*@/.exec(rest)?.[0];
  if (credentials !== undefined) {
    rest = rest.slice(credentials.length);
    const [user = '', ...password] = credentials.slice(0, -1).split(':');
    set('user', user);
    set('password', password.join(':'));
  }
  const { hosts, ports, end } = parseHosts(rest, where);
  set('host', hosts.join(','));
  // As in libpq, several hosts without ports have the default one, whatever PGPORT says.
  set('port', ports.join(','));
  const path = rest.slice(end);
  const question = path.indexOf('?');
  const database = question === -1 ? path : path.slice(0, question);
  if (database.includes('@')) {
    throw new UsageError(`${where}: the URL has an @ after its first slash: ${ESCAPES}`);
  }
  set('dbname', database.slice(1));
  if (question !== -1) parseQuery(path.slice(question + 1), where, found);
  return found;
}

/** The part up to the slash or question mark: hosts with their ports, separated by commas. */
function parseHosts(text: string, where: string): { hosts: string[]; ports: string[]; end: number } {
  const hosts: string[] = [];
  const ports: string[] = [];
  const one = /(?:\[([^\]]*)\]|([^:/?,[]*))(?::([^/?,]*))?/y;
  for (;;) {
    const match = one.exec(text);
    const next = text[one.lastIndex];
    if (match === null || (next !== undefined && !'/?,'.includes(next))) {
      throw new UsageError(`${where}: the host in the URL cannot be read; an IPv6 address goes in brackets`);
    }
    const [, address, host = '', port = ''] = match;
    if (address === '') throw new UsageError(`${where}: the IPv6 address in the URL is empty`);
    if (host.includes('@')) throw new UsageError(`${where}: the URL has more than one @: ${ESCAPES}`);
    // What stands here may be a password that holds a slash.
    if (!/^\s*\d*\s*$/.test(percentDecode(port) ?? '?')) {
      throw new UsageError(`${where}: the port in the URL is not a number; ${ESCAPES}`);
    }
    hosts.push(address ?? host);
    ports.push(port);
    if (next !== ',') return { hosts, ports, end: one.lastIndex };
    one.lastIndex += 1;
  }
}

function parseQuery(query: string, where: string, found: Parameters): void {
  const isShown = !query.includes('@');
  // A password with an ampersand goes on as the next name.
  let followsSecret = false;
  const pairs = query.split('&');
  // As in libpq, the text may end in an ampersand.
  if (pairs.at(-1) === '') pairs.pop();
  for (const pair of pairs) {
    const parts = pair.split('=');
    if (parts.length !== 2) {
      const fault = parts.length === 1 ? 'lacks its =' : 'has two =';
      throw new UsageError(
        `${where}: a parameter of the URL ${fault}; in a value, write = as %3D and & as %26`,
      );
    }
    const name = decoded(parts[0]!, undefined, where);
    const value = decoded(parts[1]!, undefined, where);
    // As the JDBC driver writes it.
    const known =
      name === 'ssl' && value === 'true' ? (['sslmode', 'require'] as const) : knownParameter(name, value);
    if (known === undefined) throw unknownParameter(name, where, isShown && !followsSecret);
    found[known[0]] = known[1];
    followsSecret = isSecret(known[0]);
  }
}

function decoded(text: string, name: ParameterName | undefined, where: string): string {
  const value = percentDecode(text);
  if (value !== undefined) return value;
  const part = name === undefined ? 'a parameter' : `the part for "${name}"`;
  throw new UsageError(
    `${where}: ${part} of the URL has a percent sign without two hexadecimal digits, or bytes that are not UTF-8`,
  );
}
