/** `read(n)` on byte transforms: what was read and `takeUnsettled()` together are what was written, and a chunk is flushed by its last byte. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BackpressureTransform } from '../../src/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { closed, expectLedger, turn } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';

const action = fc.oneof(
  fc.record({ write: fc.integer({ min: 0, max: 40 }) }),
  fc.record({ read: fc.option(fc.integer({ min: 1, max: 90 }), { nil: undefined }) }),
  fc.record({ turns: fc.integer({ min: 1, max: 2 }) }),
);

const given = fc.record({
  maxBufferBytes: fc.integer({ min: 1, max: 200 }),
  encoding: fc.constantFrom<BufferEncoding | undefined>(undefined, undefined, 'utf8', 'latin1', 'hex'),
  listens: fc.boolean(),
  actions: fc.array(action, { maxLength: 40 }),
  ends: fc.boolean(),
});

/** Text whose characters have one to four bytes, as many bytes as needed. */
const TEXT = Buffer.from('aé€😀bc'.repeat(200));

it('sized reads lose and double nothing', async () => {
  await fc.assert(
    fc.asyncProperty(given, async ({ maxBufferBytes, encoding, listens, actions, ends }) => {
      const between = new BackpressureTransform<Buffer>({
        objectMode: false,
        maxBufferBytes,
        clock: new ManualClock(),
      });
      if (encoding !== undefined) between.setEncoding(encoding);
      if (listens) between.on('readable', () => undefined);
      const written: number[] = [];
      let end = 0;
      const read: (Buffer | string)[] = [];
      for (const { write, read: size, turns } of actions as {
        write?: number;
        read?: number;
        turns?: number;
      }[]) {
        if (write !== undefined) {
          if (between.writableNeedDrain) continue;
          between.write(TEXT.subarray(end, end + write));
          end += write;
          written.push(end);
        } else if (turns !== undefined) {
          await turn(turns);
        } else {
          // Both halves of a byte in hex.
          const chunk = between.read(size === undefined ? undefined : size * 2) as Buffer | string | null;
          if (chunk !== null) read.push(chunk);
        }
        expectLedger(between);
      }
      if (ends) between.end();
      await turn(1);
      between.destroy();
      await closed(between);
      const got =
        encoding === undefined ? Buffer.concat(read as Buffer[]) : Buffer.from(read.join(''), encoding);
      const unsettled = between.takeUnsettled();
      const rest = Buffer.concat(unsettled);
      // Of a pair of surrogates one may be read: as a character by itself it has other bytes.
      const isCut = encoding === 'utf8' && /[\uD800-\uDBFF]$/.test(read.join(''));
      if (!isCut) expect(String(Buffer.concat([got, rest]))).toBe(String(TEXT.subarray(0, end)));
      const { eventsFlushed, eventsFailed, dropsByReason } = expectLedger(between);
      expect(unsettled).toHaveLength(eventsFailed + dropsByReason.aborted);
      expect(eventsFlushed + unsettled.length).toBe(written.length);
      const place = end - rest.length;
      const whole = written.filter((at) => at <= place).length;
      // Empty chunks have no last byte.
      const empty = written.filter((at, index) => at === place && at === (written[index - 1] ?? 0)).length;
      expect(eventsFlushed).toBeLessThanOrEqual(whole);
      expect(eventsFlushed).toBeGreaterThanOrEqual(whole - empty);
    }),
    fastCheckRuns(300),
  );
});
