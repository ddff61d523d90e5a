/** `spillway consume` and servers that ask who connects, that speak TLS, or that are not there. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { createUser } from '@nats-io/nkeys';
import { connect, credsAuthenticator, type ConnectionOptions } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useCli } from '../../support/cli.js';
import { makeNatsAccounts } from '../../support/nats-accounts.js';
import { noNatsServer, startNatsServer, type NatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { makeTlsFiles, TLS_FILES } from '../../support/tls-files.js';

const SECRET = 'sEcReT';

describe.skipIf(noNatsServer)(
  `spillway consume connects (${noNatsServer ?? 'to servers of its own'})`,
  () => {
    const database = useTestDatabase();
    const cli = useCli();
    const servers: NatsServer[] = [];
    let folder = '';
    let imports = 0;

    beforeAll(() => {
      folder = mkdtempSync(path.join(os.tmpdir(), 'spillway-consume-'));
      makeTlsFiles(folder, 'worker');
    });

    afterAll(async () => {
      for (const server of servers) await server.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const at = (name: string): string => path.join(folder, name);

    function file(name: string, text: string): string {
      writeFileSync(at(name), text);
      return at(name);
    }

    /** Starts a server with a stream EVENTS of one message. */
    async function serve(config: string, options: Omit<ConnectionOptions, 'servers'> = {}): Promise<number> {
      const server = await startNatsServer(config);
      servers.push(server);
      const nats = await connect({ servers: `127.0.0.1:${server.port}`, ...options });
      const manager = await jetstreamManager(nats);
      await manager.streams.add({ name: 'EVENTS', subjects: ['e.>'] });
      await jetstream(nats).publish('e.a', '{"id":1}');
      await nats.close();
      return server.port;
    }

    async function consume(args: readonly string[], env: Record<string, string> = {}) {
      const table = await database.table('id int');
      const run = await cli.run(
        [
          'consume',
          '--stream',
          'EVENTS',
          '--table',
          table,
          '--import',
          `c${(imports += 1)}`,
          '--until-caught-up',
          ...args,
        ],
        { env: { DATABASE_URL: database.url, ...env } },
      );
      const rows = await database.query(`SELECT id FROM ${table}`);
      return { ...run, rows: rows.length, output: run.stdout + run.stderr };
    }

    test('user and password come from the URL or the environment, and no message contains the password', async () => {
      const port = await serve(`authorization { user: u, password: ${SECRET} }`, { user: 'u', pass: SECRET });
      const good = await consume([`nats://u:${SECRET}@127.0.0.1:${port}`, '--json']);
      expect(good).toMatchObject({ code: 0, rows: 1 });
      expect(good.output).not.toContain(SECRET);
      const url = `nats://127.0.0.1:${port}`;
      expect(await consume([url], { NATS_USER: 'u', NATS_PASSWORD: SECRET })).toMatchObject({
        code: 0,
        rows: 1,
      });
      expect(await consume([], { NATS_URL: `nats://u:${SECRET}@127.0.0.1:${port}` })).toMatchObject({
        code: 0,
        rows: 1,
      });

      const wrong = await consume([`nats://u:${SECRET}wrong@127.0.0.1:${port}`, '--json']);
      expect(wrong).toMatchObject({ code: 1, rows: 0 });
      expect(wrong.stderr).toMatch(
        /^spillway: NATS at 127\.0\.0\.1:\d+: it refuses the user "u" or its password: /,
      );
      expect(wrong.output).not.toContain(SECRET);
      expect((await consume([url])).stderr).toMatch(
        /it refuses a connection without credentials \(--creds, --nkey, NATS_USER/,
      );
    });

    test('a token comes from the URL or the environment', async () => {
      const port = await serve(`authorization { token: ${SECRET} }`, { token: SECRET });
      expect(await consume([`nats://${SECRET}@127.0.0.1:${port}`])).toMatchObject({ code: 0, rows: 1 });
      const url = `nats://127.0.0.1:${port}`;
      expect(await consume([url], { NATS_TOKEN: SECRET })).toMatchObject({ code: 0, rows: 1 });
      const wrong = await consume([url], { NATS_TOKEN: `${SECRET}x` });
      expect(wrong.stderr).toContain('it refuses the token');
      expect(wrong.output).not.toContain(SECRET);
    });

    test('an NKey comes from a file', async () => {
      const user = createUser();
      const seed = Buffer.from(user.getSeed()).toString();
      const config = `authorization { users: [{ nkey: ${user.getPublicKey()} }, { user: a, password: a }] }`;
      const port = await serve(config, { user: 'a', pass: 'a' });
      const url = `nats://127.0.0.1:${port}`;
      expect(await consume([url, '--nkey', file('nkey', `${seed}\n`)])).toMatchObject({ code: 0, rows: 1 });
      expect(await consume([url], { NATS_NKEY: at('nkey') })).toMatchObject({ code: 0, rows: 1 });
      const other = Buffer.from(createUser().getSeed()).toString();
      const refused = await consume([url, '--nkey', file('other', other)]);
      expect(refused.stderr).toContain('it refuses the credentials of --nkey');
      expect(refused.output).not.toContain(other);
      expect((await consume([url, '--nkey', file('empty', '')])).stderr).toMatch(
        /^spillway: --nkey: ".*" has no seed of a user/,
      );
      expect((await consume([url, '--nkey', at('none')])).stderr).toMatch(/^spillway: --nkey: ENOENT/);
    });

    test('credentials of nsc come from a file', async () => {
      const { config, creds, foreignCreds } = makeNatsAccounts();
      const port = await serve(config, { authenticator: credsAuthenticator(Buffer.from(creds)) });
      const url = `nats://127.0.0.1:${port}`;
      expect(await consume([url, '--creds', file('creds', creds)])).toMatchObject({ code: 0, rows: 1 });
      expect(await consume([url], { NATS_CREDS: at('creds') })).toMatchObject({ code: 0, rows: 1 });
      const refused = await consume([url, '--creds', file('foreign', foreignCreds)]);
      expect(refused).toMatchObject({ code: 1, rows: 0 });
      expect(refused.stderr).toContain('it refuses the credentials of --creds');
      expect(refused.output).not.toMatch(/SU[A-Z2-7]{20}/);
      expect((await consume([url, '--creds', file('wrong', 'x')])).stderr).toContain(
        'has no JWT and seed of a user',
      );
    });

    test('TLS is used if the server offers it, and its certificate is checked', async () => {
      const tls = `tls { cert_file: "${at(TLS_FILES.server)}", key_file: "${at(TLS_FILES.serverKey)}" }`;
      const port = await serve(tls, { tls: { caFile: at(TLS_FILES.ca) } });
      const ca = ['--tlsca', at(TLS_FILES.ca)];
      expect(await consume([`nats://localhost:${port}`, ...ca])).toMatchObject({ code: 0, rows: 1 });
      expect(await consume([`tls://127.0.0.1:${port}`], { NATS_CA: at(TLS_FILES.ca) })).toMatchObject({
        code: 0,
        rows: 1,
      });
      expect((await consume([`nats://localhost:${port}`])).stderr).toMatch(/its certificate is .*--tlsca/);
      const other = await consume([`nats://localhost:${port}`, '--tlsca', at(TLS_FILES.otherCa)]);
      expect(other).toMatchObject({ code: 1, rows: 0 });
      expect(other.stderr).toMatch(/its certificate is .*--tlsca/);
      expect((await consume([`tls://localhost:${port}`, '--tlsca', at('none')])).stderr).toMatch(
        /^spillway: --tlsca: ENOENT/,
      );
    });

    test('a server that asks for a certificate of the client gets it', async () => {
      const tls = `tls { cert_file: "${at(TLS_FILES.server)}", key_file: "${at(TLS_FILES.serverKey)}", ca_file: "${at(TLS_FILES.ca)}", verify: true }`;
      const own = {
        caFile: at(TLS_FILES.ca),
        certFile: at(TLS_FILES.client),
        keyFile: at(TLS_FILES.clientKey),
      };
      const port = await serve(tls, { tls: own });
      const url = `tls://localhost:${port}`;
      const ca = ['--tlsca', at(TLS_FILES.ca)];
      const cert = ['--tlscert', at(TLS_FILES.client), '--tlskey', at(TLS_FILES.clientKey)];
      expect(await consume([url, ...ca, ...cert])).toMatchObject({ code: 0, rows: 1 });
      const without = await consume([url, ...ca]);
      expect(without).toMatchObject({ code: 1, rows: 0 });
      expect(without.stderr).toContain('--tlscert and --tlskey');
    });

    test('a server that is not as it should be is told with what helps', async () => {
      const port = await serve('');
      const url = `nats://127.0.0.1:${port}`;
      expect((await consume([`tls://127.0.0.1:${port}`])).stderr).toMatch(/TLS/i);
      expect((await consume(['nats://127.0.0.1:1'])).stderr).toBe(
        'spillway: NATS at 127.0.0.1:1: nothing listens there (connection refused)\n',
      );
      expect((await consume([url, '--stream', 'EVENT'])).stderr).toContain(
        "option '-s, --stream <name>' is given more than once",
      );
      expect((await consume([url, '--domain', 'nowhere'])).stderr).toContain(
        'there is no JetStream in the domain "nowhere" (--domain)',
      );
    });

    test('without JetStream the error says how to turn it on', async () => {
      const config =
        'accounts { A: { users: [{ user: a, password: a }] }, J: { jetstream: enabled, users: [{ user: j, password: j }] } }';
      const port = await serve(config, { user: 'j', pass: 'j' });
      expect((await consume([`nats://a:a@127.0.0.1:${port}`])).stderr).toContain(
        'there is no JetStream on this server, or for this user',
      );
      expect(await consume([`nats://j:j@127.0.0.1:${port}`])).toMatchObject({ code: 0, rows: 1 });
    });
  },
);
