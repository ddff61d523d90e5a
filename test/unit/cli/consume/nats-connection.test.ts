import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectToNats, natsFailure } from '../../../../src/cli/consume/nats-connection.js';
import type { NatsSettings } from '../../../../src/cli/consume/nats-settings.js';

const SETTINGS: NatsSettings = {
  servers: ['nats://one:4222', 'nats://two:4222'],
  needsTls: false,
  ca: undefined,
  cert: undefined,
  key: undefined,
  identity: { kind: 'none' },
};

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-nats-connection-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string): Promise<{ path: string; source: string }> {
  const full = path.join(folder, name);
  await writeFile(full, content);
  return { path: full, source: '--creds' };
}

/** Connects by a client that notes its options. */
async function optionsFor(settings: Partial<NatsSettings>): Promise<ConnectionOptions> {
  const found: ConnectionOptions[] = [];
  const transport = {
    connect: (options: ConnectionOptions = {}) => {
      found.push(options);
      return Promise.resolve({} as NatsConnection);
    },
    credsAuthenticator: () => () => ({ jwt: 'creds' }),
    nkeyAuthenticator: () => () => ({ jwt: 'nkey' }),
  };
  await connectToNats(transport, { ...SETTINGS, ...settings }, 'spillway consume orders');
  return found[0]!;
}

describe('connectToNats', () => {
  it('survives outages of any length, and notices a peer that is gone within half a minute', async () => {
    const options = await optionsFor({});
    expect(options).toMatchObject({
      servers: SETTINGS.servers,
      name: 'spillway consume orders',
      maxReconnectAttempts: -1,
    });
    // The client gives a connection up after the third ping without an answer.
    expect(options.pingInterval).toBeLessThanOrEqual(10_000);
    expect(options).not.toHaveProperty('tls');
  });

  it('asks for TLS if a URL or a file does', async () => {
    expect(await optionsFor({ needsTls: true })).toMatchObject({ tls: {} });
    expect(await optionsFor({ ca: await file('ca.pem', 'CA') })).toMatchObject({ tls: { ca: 'CA' } });
    const both = { cert: await file('cert.pem', 'CERT'), key: await file('key.pem', 'KEY') };
    expect((await optionsFor(both)).tls).toEqual({ cert: 'CERT', key: 'KEY' });
  });

  it.each([
    ['a password', { kind: 'password', user: 'u', password: 'p' }, { user: 'u', pass: 'p' }],
    ['a token', { kind: 'token', token: 't' }, { token: 't' }],
  ] as const)('passes %s on', async (_, identity, expected) => {
    expect(await optionsFor({ identity })).toMatchObject(expected);
  });

  it.each(['creds', 'nkey'] as const)(
    'refuses a file of %s that is none, and quotes nothing of it',
    async (kind) => {
      const refused = optionsFor({ identity: { kind, file: await file('secret', 'SU-SECRET') } });
      await expect(refused).rejects.toThrow(/^--creds: ".*secret" has no /);
      await expect(refused).rejects.not.toThrow('SU-SECRET');
    },
  );

  it('names the file that cannot be read by its flag', async () => {
    const missing = { path: path.join(folder, 'missing'), source: '--tlsca' };
    await expect(optionsFor({ ca: missing })).rejects.toThrow(/^--tlsca: ENOENT/);
  });
});

describe('natsFailure', () => {
  const coded = (code: string, message = code): Error => Object.assign(new Error(message), { code });
  const named = (name: string, message = ''): Error => Object.assign(new Error(message), { name });

  it.each([
    [
      'a refused connection',
      new Error('outer', { cause: coded('ECONNREFUSED') }),
      {},
      /nothing listens there/,
    ],
    ['an authority that is not known', coded('SELF_SIGNED_CERT_IN_CHAIN'), {}, /--tlsca names it/],
    [
      'a certificate that is missing',
      coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
      {},
      /--tlscert and --tlskey name it/,
    ],
    [
      'no credentials',
      named('AuthorizationError', 'Authorization Violation'),
      {},
      /without credentials \(--creds.*: authorization violation/,
    ],
    [
      'a wrong password, which it does not quote',
      named('AuthorizationError', 'Authorization Violation'),
      { identity: { kind: 'password', user: 'u', password: 'hush' } },
      /^it refuses the user "u" or its password: (?!.*hush)/,
    ],
    ['silence', named('TimeoutError', 'timeout'), {}, /^no answer in time$/],
    [
      'silence of a server with TLS',
      named('TimeoutError', 'timeout'),
      { needsTls: true },
      /^no answer in time; if it asks for a certificate/,
    ],
    ['an end without a reason', undefined, {}, /^the connection was closed$/],
  ] as const)('explains %s', (_, error, settings, message) => {
    expect(natsFailure(error, { ...SETTINGS, ...settings })).toMatch(message);
  });
});
