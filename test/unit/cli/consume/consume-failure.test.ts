import type { NatsConnection } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { describeConsumeFailure } from '../../../../src/cli/consume/consume-failure.js';
import { natsSettings } from '../../../../src/cli/consume/nats-settings.js';
import { LogError } from '../../../../src/log/log-error.js';
import { CopyError } from '../../../../src/postgres/errors/copy-error.js';

const SETTINGS = natsSettings(
  {
    servers: ['nats://one:4222'],
    ...{ creds: undefined, nkey: undefined, tlsca: undefined, tlscert: undefined, tlskey: undefined },
  },
  {},
);
const OPEN = { isClosed: () => false } as NatsConnection;

describe('the failure of a worker', () => {
  it.each([
    [
      new LogError('unreachable', 'timeout'),
      'NATS at one:4222 was out of reach for longer than --max-outage says: timeout',
    ],
    [
      new CopyError('connection refused', { failureClass: 'transport' }),
      'PostgreSQL was out of reach for longer than --max-outage says: connection refused',
    ],
    [new LogError('loss', 'positions are gone'), 'positions are gone'],
    [new CopyError('no such table', { failureClass: 'setup' }), 'no such table'],
  ])('%s is told as it is, and after an outage with the flag', async (error, message) => {
    await expect(describeConsumeFailure(error, OPEN, SETTINGS)).resolves.toMatchObject({ message });
  });
});
