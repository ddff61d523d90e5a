/** Connects to NATS, or explains why that failed. The packages of NATS are loaded here, from the user's installation. */

import { causesOf, CliError, ExitCode, messageOf, oneLine } from '../load/parts.js';
import { readFile } from 'node:fs/promises';
import type * as JetStream from '@nats-io/jetstream';
import type * as Nats from '@nats-io/transport-node';
import type * as Log from '../../jetstream/index.js';
import type { Authenticator, ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import type { NamedFile, NatsIdentity, NatsSettings } from './nats-settings.js';

/** For each server. */
const CONNECT_TIMEOUT_MS = 10_000;
const RECONNECT_MS = 500;
/** A connection whose other end is gone without a word is given up after three of them. The client's own default is two minutes. */
const PING_MS = 10_000;

type Transport = Pick<typeof Nats, 'connect' | 'credsAuthenticator' | 'nkeyAuthenticator'>;

export interface NatsPackages {
  readonly transport: Transport;
  readonly jetstream: Pick<typeof JetStream, 'jetstreamManager' | 'JetStreamApiError'>;
  readonly jetStreamLog: typeof Log.jetStreamLog;
}

/** Loads what `src/jetstream` needs, too, before anything is done. @throws {CliError} if a package is missing */
export async function loadNats(): Promise<NatsPackages> {
  try {
    const transport = await import('@nats-io/transport-node');
    const jetstream = await import('@nats-io/jetstream');
    const { jetStreamLog } = await import('../../jetstream/index.js');
    return { transport, jetstream, jetStreamLog };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const name = /'(@nats-io\/[\w-]+)'/.exec(message)?.[1];
    if ((code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND') || name === undefined) throw error;
    throw new CliError(
      `the package ${name} is missing; install it with: npm install @nats-io/jetstream @nats-io/transport-node`,
      ExitCode.FAILED,
      error,
    );
  }
}

/** @throws {CliError} naming the servers, the reason, and the flag that helps */
export async function connectToNats(
  transport: Transport,
  settings: NatsSettings,
  name: string,
): Promise<NatsConnection> {
  const { servers, needsTls, ca, cert, key } = settings;
  const [caText, certText, keyText] = await Promise.all([ca, cert, key].map(contentsOf));
  const hasTls = needsTls || caText !== undefined || certText !== undefined;
  const tls = { ...textOf('ca', caText), ...textOf('cert', certText), ...textOf('key', keyText) };
  const options: ConnectionOptions = {
    servers: [...servers],
    name,
    timeout: CONNECT_TIMEOUT_MS,
    // An outage of any length is survived. How long a worker waits is decided by `--max-outage`.
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    pingInterval: PING_MS,
    ...(hasTls && { tls }),
    ...(await identityOptions(transport, settings.identity)),
  };
  try {
    return await transport.connect(options);
  } catch (error) {
    const reason = natsFailure(error, settings);
    throw new CliError(`NATS at ${servers.join(', ')}: ${reason}`, ExitCode.FAILED, error);
  }
}

function textOf(name: 'ca' | 'cert' | 'key', text: string | undefined): Record<string, string> {
  return text === undefined ? {} : { [name]: text };
}

async function contentsOf(file: NamedFile | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file.path, 'utf8');
  } catch (error) {
    throw new CliError(`${file.source}: ${messageOf(error)}`, ExitCode.FAILED, error);
  }
}

async function identityOptions(
  { credsAuthenticator, nkeyAuthenticator }: Transport,
  identity: NatsIdentity,
): Promise<{ authenticator?: Authenticator; user?: string; pass?: string; token?: string }> {
  switch (identity.kind) {
    case 'none':
      return {};
    case 'password':
      return { user: identity.user, pass: identity.password };
    case 'token':
      return { token: identity.token };
    case 'creds': {
      const text = (await contentsOf(identity.file))!;
      // Otherwise each attempt to connect would find out.
      if (!/BEGIN NATS USER JWT/.test(text) || !SEED.test(text))
        throw wrongFile(identity.file, 'has no JWT and seed of a user, as nsc writes them');
      return { authenticator: credsAuthenticator(Buffer.from(text)) };
    }
    case 'nkey': {
      const seed = SEED.exec((await contentsOf(identity.file))!)?.[0];
      if (seed === undefined)
        throw wrongFile(identity.file, 'has no seed of a user: a line that begins with SU');
      return { authenticator: nkeyAuthenticator(Buffer.from(seed)) };
    }
  }
}

const SEED = /^SU[A-Z2-7]{56}$/m;

/** What the file holds may be a secret. */
function wrongFile({ source, path }: NamedFile, reason: string): CliError {
  return new CliError(`${source}: ${JSON.stringify(path)} ${reason}`);
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name cannot be looked up now',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no answer in time',
  ECONNRESET: 'the server has closed the connection',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself; --tlsca names one that is trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of an authority that is not known; --tlsca names it',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of an authority that is not known; --tlsca names it',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is of an authority that is not known; --tlsca names it',
};

/** Returns in one line why the connection failed, or has ended. */
export function natsFailure(error: unknown, { identity, cert, ca, needsTls }: NatsSettings): string {
  const causes = causesOf(error);
  const code = causes
    .map((cause) => (cause as NodeJS.ErrnoException).code)
    .find((each) => each !== undefined);
  // A connection that was closed in order has no error.
  const message = error === undefined ? '' : oneLine(messageOf(error));
  if (code !== undefined && Object.hasOwn(REASONS, code)) return REASONS[code]!;
  if (
    code?.startsWith('ERR_SSL_') === true &&
    /certificate/i.test(`${code} ${message}`) &&
    cert === undefined
  )
    return `it asks for the certificate of the client: --tlscert and --tlskey name it (${message})`;
  if (causes.some(({ name }) => name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError')) {
    return `it refuses ${shownIdentity(identity)}: ${message.toLowerCase()}`;
  }
  if (causes.some(({ name }) => name === 'TimeoutError')) {
    // With TLS 1.3 a server that misses the certificate says so after the handshake, and the client does not pass it on.
    const mayMiss = cert === undefined && (needsTls || ca !== undefined);
    return `no answer in time${mayMiss ? '; if it asks for a certificate of the client, --tlscert and --tlskey name it' : ''}`;
  }
  return message === '' ? 'the connection was closed' : message;
}

function shownIdentity(identity: NatsIdentity): string {
  switch (identity.kind) {
    case 'none':
      return 'a connection without credentials (--creds, --nkey, NATS_USER and NATS_PASSWORD, or NATS_TOKEN)';
    case 'password':
      return `the user ${JSON.stringify(identity.user)} or its password`;
    case 'token':
      return 'the token';
    case 'creds':
    case 'nkey':
      return `the credentials of ${identity.file.source}`;
  }
}
