import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TlsSettings } from '../../../../../src/cli/server/conninfo/settings.js';
import { tlsFailure } from '../../../../../src/cli/server/session/tls-failure.js';

const SETTINGS = { mode: 'verify-ca' } as TlsSettings;
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'spillway-tls-'));
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=s'];
  openssl('req', ...key, '-keyout', 'key', '-out', 'csr');
  for (const [name, days] of [
    ['expired', '-1'],
    ['good', '5'],
  ]) {
    openssl('x509', '-req', '-in', 'csr', '-signkey', 'key', '-days', days!, '-out', name!);
  }
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const read = (name: string): Buffer => readFileSync(path.join(directory, name));

async function failureAt(server: Server, ca?: Buffer): Promise<NodeJS.ErrnoException> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({
    port,
    host: '127.0.0.1',
    ...(ca === undefined ? {} : { ca }),
    checkServerIdentity: () => undefined,
  });
  const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
  socket.destroy();
  server.close();
  return error;
}

const tlsServer = (certificate: string): Server =>
  createServer({ key: read('key'), cert: read(certificate) }).on('tlsClientError', () => undefined);

test('an expired certificate: says so', async () => {
  const error = await failureAt(tlsServer('expired'), read('expired'));
  expect(tlsFailure(error, SETTINGS)).toMatch(
    /certificate, or the root in sslrootcert, has expired.*verify-ca/,
  );
});

test('a certificate of an unknown authority: names sslrootcert', async () => {
  const error = await failureAt(tlsServer('good'));
  expect(tlsFailure(error, SETTINGS)).toMatch(/signed by itself.*sslrootcert=FILE/);
});

test('a server that does not speak TLS: says so, without the words of OpenSSL', async () => {
  const server = createTcpServer((socket) =>
    socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  );
  const words = tlsFailure(await failureAt(server), SETTINGS);
  expect(words).toMatch(/does not speak TLS: look at host and port/);
  expect(words).not.toMatch(/openssl|routines|:c:/i);
});

test('an error that is not of TLS: undefined', () => {
  expect(tlsFailure(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), SETTINGS)).toBeUndefined();
});
