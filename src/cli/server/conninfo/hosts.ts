/** `host`, `hostaddr` and `port` as a list of servers. Pure. */

import { isIP } from 'node:net';
import { UsageError } from '../../common/errors.js';

export interface Host {
  /** As it was given: a name, an address, or the directory of a socket. What a certificate is compared with. */
  readonly name: string;
  /** An address that was given beside the name: the name is not looked up. */
  readonly address: string | undefined;
  readonly port: number;
  readonly isSocket: boolean;
}

export const DEFAULT_HOST = 'localhost';
const DEFAULT_PORT = 5432;

/** @throws {UsageError} for lists whose lengths do not fit, and for a port or address that is none */
export function parseHosts(parameters: { host?: string; hostaddr?: string; port?: string }): Host[] {
  const names = listOf(parameters.host);
  const addresses = listOf(parameters.hostaddr);
  const count = addresses?.length ?? names?.length ?? 1;
  if (names !== undefined && names.length !== count) {
    throw new UsageError(`host has ${names.length} entries and hostaddr ${count}: they must be as many`);
  }
  const ports = listOf(parameters.port) ?? [''];
  if (ports.length !== 1 && ports.length !== count) {
    throw new UsageError(
      `port has ${ports.length} entries for ${count} hosts: give one port, or one for each host`,
    );
  }
  return Array.from({ length: count }, (_, index) => {
    const address = addresses?.[index];
    const name = names?.[index];
    return hostOf(name ?? '', address ?? '', portOf(ports.length === 1 ? ports[0]! : ports[index]!));
  });
}

function listOf(text: string | undefined): string[] | undefined {
  return text === undefined || text === '' ? undefined : text.split(',');
}

function hostOf(name: string, address: string, port: number): Host {
  if (address !== '' && isIP(address.replace(/%.*$/, '')) === 0) {
    throw new UsageError(`hostaddr "${address}" is not an IP address; a name goes into host`);
  }
  if (address === '' && name.startsWith('@')) {
    throw new UsageError(
      `host ${JSON.stringify(name)} is a socket without a file, which Node.js cannot reach: ` +
        'give the directory of a socket, or a host name',
    );
  }
  const isSocket = address === '' && name.startsWith('/');
  return {
    name: name === '' && address === '' ? DEFAULT_HOST : name,
    address: address === '' ? undefined : address,
    port,
    isSocket,
  };
}

function portOf(text: string): number {
  if (text === '') return DEFAULT_PORT;
  const port = /^\s*\+?\d+\s*$/.test(text) ? Number(text) : NaN;
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(`invalid port number: ${JSON.stringify(text)}; it must be from 1 to 65535`);
}

/** What people see of a server. */
export function hostLabel({ name, address, port }: Host): string {
  const shown = address ?? name;
  return `${isIP(shown) === 6 ? `[${shown}]` : shown}:${port}`;
}
