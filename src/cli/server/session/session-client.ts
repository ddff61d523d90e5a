/** node-postgres' client with the command line's settings: start-up packet, TLS, and the guard over the login. */

import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type * as Pg from 'pg';
import { GuardedSocket } from '../../../postgres/protocol/guarded-socket.js';
import type { Encryption } from './attempts.js';
import { guardAuthentication, type GuardedConnection } from './auth-guard.js';
import type { Host } from '../conninfo/hosts.js';
import type { ConnectionSettings } from '../conninfo/settings.js';
import { isForHost } from './server-name.js';
import type { TlsMaterial } from './tls-material.js';

/** An address of a server, with the encryption to use. */
export interface Target {
  readonly host: Host;
  readonly password: string | undefined;
  /** The IP address, or the directory of a socket. */
  readonly address: string;
  /** `plain` as soon as a server without TLS has gone on without it: see `goOnInClear`. */
  encryption: Encryption;
}

/** Members of node-postgres' client that its types leave out, since 8.11. */
interface ClientInside {
  readonly connection: GuardedConnection & ClearConnection;
  enableChannelBinding?: boolean;
  ssl?: unknown;
  connect(callback?: ConnectCallback): Promise<void> | undefined;
}

interface ClearConnection {
  readonly stream: {
    listeners(event: 'data'): unknown[];
    removeAllListeners(event: 'data'): unknown;
    once(event: 'data', listener: (answer: Buffer) => void): unknown;
  };
  ssl?: unknown;
  attachListeners?(stream: unknown): void;
}

type ConnectCallback = (error?: Error | null, client?: unknown) => void;

/** Most iterations that a server may ask for. node-postgres' limit of 100,000 excludes servers that psql can use. */
const MOST_SCRAM_ITERATIONS = 10_000_000;

/**
 * @param target called for each new client
 * @returns a class for the pool's option `Client`
 */
export function sessionClientClass(
  Base: typeof Pg.Client,
  settings: ConnectionSettings,
  material: TlsMaterial | undefined,
  target: () => Target,
): typeof Pg.Client {
  const Guarded = class extends (Base as unknown as new (config: Pg.ClientConfig) => ClientInside) {
    readonly spillwayTarget: Target;

    constructor() {
      const current = target();
      super(clientConfig(settings, material, current));
      this.spillwayTarget = current;
    }

    /** Called by node-postgres for the start-up packet. */
    getStartupConf(): Record<string, string> {
      return startUpPacket(settings);
    }

    override connect(callback?: ConnectCallback): Promise<void> | undefined {
      // node-postgres calls back without one as a promise.
      if (callback === undefined) {
        return new Promise((resolve, reject) => {
          void this.connect((error) => {
            if (error) reject(error);
            else resolve();
          });
        });
      }
      const isBound = settings.channelBinding === 'require';
      if (isBound && this.spillwayTarget.encryption === 'tls' && this.enableChannelBinding !== true) {
        const reason = 'channel_binding=require needs a newer node-postgres: npm install pg@latest';
        queueMicrotask(() => callback(new Error(reason)));
        return undefined;
      }
      let isDone = false;
      void super.connect((error, client) => {
        // A message that follows a rejected one would call back again.
        if (isDone) return;
        isDone = true;
        // node-postgres leaves the socket open, for example when there is no password.
        if (error) this.connection.stream.destroy();
        callback(error, client);
      });
      // A message that does not belong to a login ends the connection, before node-postgres' parser throws.
      const { connection } = this;
      const guard = (): unknown => GuardedSocket.install(connection.stream, 'startup');
      if (this.spillwayTarget.encryption === 'tls') {
        connection.once('sslconnect', guard);
        if (settings.tls.mode === 'prefer' && !settings.tls.isDirect) goOnInClear(this, this.spillwayTarget);
      } else guard();
      guardAuthentication(connection, {
        requireAuth: settings.requireAuth,
        requiresChannelBinding: isBound,
      });
      return undefined;
    }
  };
  return Guarded as unknown as typeof Pg.Client;
}

/**
 * Continues without TLS on the same connection if the server has none, as libpq does with `sslmode=prefer`. node-postgres would close it,
 * and another one would be needed.
 */
function goOnInClear(client: ClientInside, target: Target): void {
  const { connection } = client;
  const { stream } = connection;
  const answers = stream.listeners('data') as ((answer: Buffer) => void)[];
  if (connection.attachListeners === undefined || answers.length !== 1) return;
  stream.removeAllListeners('data');
  stream.once('data', (answer) => {
    // More bytes in this packet were sent before our start-up packet: not to be trusted.
    if (answer.toString('latin1') !== 'N') {
      answers[0]!.call(stream, answer);
      return;
    }
    target.encryption = 'plain';
    client.ssl = connection.ssl = false;
    client.enableChannelBinding = false;
    connection.attachListeners!(stream);
    connection.emit('sslconnect');
  });
}

/** Everything is given, so that node-postgres reads neither its own defaults nor the environment. */
function clientConfig(
  settings: ConnectionSettings,
  material: TlsMaterial | undefined,
  target: Target,
): Pg.ClientConfig {
  const { host, address, password, encryption } = target;
  const usesTls = encryption === 'tls';
  const config = {
    // node-postgres adds the name of the socket to a directory.
    host: address,
    port: host.port,
    user: settings.user,
    database: settings.database,
    password: () => {
      if (password !== undefined) return password;
      throw new Error(missingPassword(settings));
    },
    ssl: usesTls && material !== undefined ? tlsOptions(settings, material, host) : false,
    sslnegotiation: usesTls && settings.tls.isDirect ? 'direct' : 'postgres',
    enableChannelBinding: usesTls && settings.channelBinding !== 'disable',
    scramMaxIterations: MOST_SCRAM_ITERATIONS,
    keepAlive: settings.keepAlive,
    keepAliveInitialDelayMillis: settings.keepAliveIdleMs,
  };
  return config as Pg.ClientConfig;
}

function missingPassword({ passwordFileFault }: ConnectionSettings): string {
  const fault = passwordFileFault === undefined ? '' : `; ${passwordFileFault}`;
  return `asks for a password: set PGPASSWORD, or use ~/.pgpass${fault}`;
}

function tlsOptions({ tls }: ConnectionSettings, material: TlsMaterial, { name }: Host): ConnectionOptions {
  const isVerified = material.ca !== undefined;
  return {
    rejectUnauthorized: isVerified,
    checkServerIdentity: (_host, certificate) =>
      material.verifiesHost && !isForHost(certificate.raw, name)
        ? Object.assign(
            new Error(`the server's certificate is not for the host "${name}" (sslmode=verify-full)`),
            {
              code: 'ERR_TLS_CERT_ALTNAME_INVALID',
            },
          )
        : undefined,
    ...(isVerified ? { ca: material.ca } : {}),
    ...(material.crl.length === 0 ? {} : { crl: material.crl }),
    ...(material.cert === undefined ? {} : { cert: material.cert }),
    ...(material.key === undefined ? {} : { key: material.key }),
    ...(material.passphrase === undefined ? {} : { passphrase: material.passphrase }),
    ...(tls.sendsServerName && name !== '' && isIP(name) === 0 ? { servername: name } : {}),
    ...(tls.minVersion === undefined ? {} : { minVersion: tls.minVersion }),
    ...(tls.maxVersion === undefined ? {} : { maxVersion: tls.maxVersion }),
  };
}

/**
 * The server takes names in any case, and goes through them in order. A name that repeats is told apart by its case, for `datestyle` adds
 * to the one before.
 */
export function startUpPacket(
  settings: Pick<ConnectionSettings, 'user' | 'database' | 'startUp'>,
): Record<string, string> {
  const packet: Record<string, string> = { user: settings.user, database: settings.database };
  for (const [name, value] of settings.startUp) {
    let key = name;
    for (let at = 0; key in packet && at < name.length; at += 1) {
      key = name.slice(0, at) + name.charAt(at).toUpperCase() + name.slice(at + 1).toLowerCase();
    }
    packet[key] = value;
  }
  return packet;
}
