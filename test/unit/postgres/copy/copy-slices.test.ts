import { expect, test } from 'vitest';
import { WorkPacer } from '../../../../src/common/turn-budget.js';
import type { ClientLease } from '../../../../src/postgres/connection/client-lease.js';
import { copySlices, SendBuffer } from '../../../../src/postgres/copy/copy-slices.js';
import { statement } from '../../../../src/postgres/sql/statement.js';
import { TEXT_FORMAT } from '../../../../src/postgres/merge/copy-plan.js';
import { EncodedRows } from '../../../../src/postgres/rows/encoded-rows.js';
import { AnswerDeadline } from '../../../../src/postgres/connection/answer-deadline.js';
import type { CopyClient } from '../../../../src/postgres/protocol/pool.js';

interface Query {
  submit(connection: object): void;
  handleReadyForQuery(): void;
}

const encoded = new EncodedRows({
  format: TEXT_FORMAT,
  delimiter: '\t',
  chunks: [Buffer.from('one\ntwo\n')],
  chunkOf: Uint32Array.of(0, 0),
  starts: Uint32Array.of(0, 4),
  ends: Uint32Array.of(4, 8),
});

test('what is still on its way stays as it is, though the server has answered; what has left is used again', async () => {
  const written: Buffer[] = [];
  const onWritten: (() => void)[] = [];
  const stream = {
    write(bytes: Buffer, done: () => void) {
      written.push(bytes);
      onWritten.push(done);
      return false;
    },
  };
  const client = {
    query(query: Query) {
      query.submit({ stream });
      query.handleReadyForQuery();
    },
  };
  const { signal } = new AbortController();
  const answerDeadline = new AnswerDeadline(signal);
  const context = {
    lease: { client } as unknown as ClientLease<CopyClient>,
    answerDeadline,
    signal,
    buffer: new SendBuffer(),
    pacer: new WorkPacer(),
  };
  const send = (row: number) => copySlices(context, [{ statement: statement('COPY'), rows: [row] }], encoded);

  expect(await send(0)).toEqual([undefined]);
  const first = Buffer.from(written[0]!);
  await send(1);
  expect(written[0]!.equals(first)).toBe(true);
  expect(written[1]!.includes('two')).toBe(true);
  for (const done of onWritten) done();
  await send(0);
  expect(written[2]!.buffer).toBe(written[1]!.buffer);
  answerDeadline.end();
});
