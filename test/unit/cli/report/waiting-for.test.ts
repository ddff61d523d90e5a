import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { WaitingFor } from '../../../../src/cli/report/waiting-for.js';
import { CopyError } from '../../../../src/postgres/errors/copy-error.js';

it('names the trouble of the last call until one has been answered', () => {
  const sink = new EventEmitter();
  const waiting = new WaitingFor(sink);
  expect(waiting.trouble).toBeUndefined();
  const error = new CopyError('read-only', { failureClass: 'transport', sqlState: '25006' });
  sink.emit('flush', { transportFailure: true });
  sink.emit('retry', { error: new Error('the batch', { cause: error }) });
  expect(waiting.trouble).toContain('read-only');
  sink.emit('flush', { transportFailure: true });
  expect(waiting.trouble).toContain('read-only');
  sink.emit('flush', { transportFailure: false });
  expect(waiting.trouble).toBeUndefined();
});
