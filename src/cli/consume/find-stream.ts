/** Checks at the start that the stream is there: what is misspelt is told at once, and not after an outage's time. */

import { causesOf, CliError, ExitCode, mostSimilar } from '../load/parts.js';
import type { NatsConnection } from '@nats-io/transport-node';
import type * as JetStream from '@nats-io/jetstream';
import type { ConsumeFlags } from '../args/options.js';

const STREAM_NOT_FOUND = 10_059;
const NOT_ENABLED: ReadonlySet<number> = new Set([10_039, 10_076]);
const MOST_NAMES = 10;

/** @throws {CliError} naming the streams that there are */
export async function checkStream(
  { jetstreamManager, JetStreamApiError }: Pick<typeof JetStream, 'jetstreamManager' | 'JetStreamApiError'>,
  nats: NatsConnection,
  { stream, domain }: Pick<ConsumeFlags, 'stream' | 'domain'>,
): Promise<void> {
  const manager = await jetstreamManager(nats, {
    checkAPI: false,
    ...(domain !== undefined && { domain }),
  });
  try {
    await manager.streams.info(stream);
  } catch (error) {
    const code = error instanceof JetStreamApiError ? error.code : undefined;
    if (code === STREAM_NOT_FOUND) throw await missingStream(manager, stream, error);
    const hasNone = causesOf(error).some(({ name }) => /^(?:NoResponders|JetStreamNotEnabled)/.test(name));
    if (hasNone || (code !== undefined && NOT_ENABLED.has(code))) throw noJetStream(domain, error);
    // Anything else may pass, or is told by the log.
  }
}

async function missingStream(
  manager: JetStream.JetStreamManager,
  stream: string,
  error: unknown,
): Promise<CliError> {
  const names: string[] = [];
  try {
    for await (const name of manager.streams.names()) names.push(name);
  } catch {
    // The user may not be allowed to list them.
  }
  return new CliError(describeMissing(stream, names), ExitCode.FAILED, error);
}

/** Names similar streams first. Pure. Exported for its test. */
export function describeMissing(stream: string, names: readonly string[]): string {
  const missing = `there is no stream ${JSON.stringify(stream)}`;
  if (names.length === 0) return `${missing}, and no other that this user may see (--stream, --domain)`;
  const similar = mostSimilar(stream, names);
  const others = names.filter((name) => name !== similar).toSorted();
  const shown = [...(similar === undefined ? [] : [similar]), ...others].slice(0, MOST_NAMES);
  const list = shown.map((name) => JSON.stringify(name)).join(', ');
  const rest = names.length - shown.length;
  return `${missing}; there ${names.length === 1 ? 'is' : 'are'} ${list}${rest > 0 ? ` and ${rest} more` : ''} (--stream)`;
}

function noJetStream(domain: string | undefined, error: unknown): CliError {
  const where =
    domain === undefined
      ? 'on this server, or for this user'
      : `in the domain ${JSON.stringify(domain)} (--domain)`;
  const help =
    domain === undefined ? '; nats-server -js turns it on, and --domain names that of a leaf node' : '';
  return new CliError(`there is no JetStream ${where}${help}`, ExitCode.FAILED, error);
}
