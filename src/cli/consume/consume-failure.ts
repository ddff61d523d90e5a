/** Describes why a worker has failed, with the flag that helps. */

import { CliError, ExitCode, messageOf, oneLine, SourceChanged, UsageError } from '../load/parts.js';
import type { NatsConnection } from '@nats-io/transport-node';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { LogError } from '../../log/log-error.js';
import { natsFailure } from './nats-connection.js';
import type { NatsSettings } from './nats-settings.js';

const OUT_OF_REACH = 'was out of reach for longer than --max-outage says';

export async function describeConsumeFailure(
  error: unknown,
  nats: NatsConnection,
  settings: NatsSettings,
): Promise<CliError> {
  const message = oneLine(messageOf(error));
  if (nats.isClosed()) {
    const reason = natsFailure(await nats.closed(), settings);
    const where = settings.servers.join(', ');
    return new CliError(`the connection to NATS at ${where} has ended: ${reason}`, ExitCode.FAILED, error);
  }
  const help = error instanceof SourceChanged ? ' (--import)' : '';
  // What may pass is waited for, so that it ends a worker only after that time.
  if (error instanceof LogError && error.failureClass === 'unreachable') {
    const where = settings.servers.join(', ');
    return new CliError(`NATS at ${where} ${OUT_OF_REACH}: ${message}`, ExitCode.FAILED, error);
  }
  if (error instanceof CopyError && (error.retryable || error.ambiguous))
    return new CliError(`PostgreSQL ${OUT_OF_REACH}: ${message}`, ExitCode.FAILED, error);
  return new CliError(`${message}${help}`, ExitCode.FAILED, error);
}

/** Flags that are not called as the library's option is. */
const FLAGS: Readonly<Record<string, string>> = {
  deadLetters: '--dead-letter',
  deadLetterSubject: '--dead-letter-subject',
  laneSize: '--lane-size',
  importId: '--import',
};

/** What the library says of an option is about a flag, and of the log about the stream. Returns anything else as it is. */
export function withFlag(error: unknown): unknown {
  if (error instanceof LogError) return new CliError(oneLine(error.message), ExitCode.FAILED, error);
  const { name, option } = error as { name?: unknown; option?: unknown };
  if (name !== 'InvalidOptionError' || typeof option !== 'string') return error;
  const flag = FLAGS[option] ?? `--${option}`;
  return new UsageError(messageOf(error).replace(`option '${option}'`, flag));
}
