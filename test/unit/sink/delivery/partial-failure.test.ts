import { describe, expect, it } from 'vitest';
import { findPartialFailure } from '../../../../src/sink/delivery/partial-failure.js';
import { interpretResult as read } from '../../../../src/sink/delivery/flush-result.js';
import { StageErrors } from '../../../../src/api/errors.js';

const readFlushAnswer = (answer: unknown, length: number) => read(answer, length, new StageErrors());

/** As node-postgres makes it. */
const pgResult = { command: 'INSERT', rowCount: 3, oid: 0, rows: [], fields: [], _types: {}, RowCtor: null };
const sqsResult = { Successful: [{ Id: '1' }], Failed: [], $metadata: { httpStatusCode: 200 } };

describe("a destination's own result counts as success if it", () => {
  it.each<[string, unknown]>([
    ['is null', null],
    ['is a count of rows', 3],
    ['is a count of 0', 0],
    ['is a bigint', 3n],
    ['is true', true],
    ['is a reply of Redis', 'OK'],
    ['is a result of node-postgres', pgResult],
    ['is a list of such results', [pgResult, pgResult]],
    ['is a count of Prisma', { count: 3 }],
    [
      'is a result of insertMany of MongoDB',
      { acknowledged: true, insertedCount: 2, insertedIds: { 0: 'a' } },
    ],
    ['is a bulk result of MongoDB', { ok: 1, writeErrors: [], hasWriteErrors: () => false }],
    ['is a response with status 201', new Response(null, { status: 201 })],
    ['is a result of SQS without failures', sqsResult],
    ['is a result of Kinesis without failures', { FailedRecordCount: 0, Records: [] }],
    ['is a result of DynamoDB without leftovers', { UnprocessedItems: {} }],
    ['is a result of Supabase without an error', { data: null, error: null, status: 201 }],
    ['is an empty list', []],
    ['has fulfilled entries only', [{ status: 'fulfilled', value: 1 }]],
    [
      'is a pipeline of Redis',
      [
        [null, 'OK'],
        [null, 1],
      ],
    ],
    [
      'is a list of rows with columns named error, status and ok',
      [{ id: 1, error: 'boom', status: 500, ok: false }].map(({ id, error, status }) => ({
        id,
        error,
        status,
      })),
    ],
    ['is a list of rows with a column named failed', [{ failed: 3 }, { failed: true }]],
    ['is a stamp of a warehouse', { executed: true, query_id: 'x', summary: { written_rows: '3' } }],
  ])('%s', (_case, result) => {
    expect(readFlushAnswer(result, 3)).toEqual({ kind: 'succeeded' });
  });
});

describe("a destination's own result is refused as a partial failure if it", () => {
  it.each<[string, unknown, RegExp]>([
    ['is false', false, /: false\./],
    ['is an error', new Error('down'), /an Error that was returned/],
    ['is a response of fetch with status 500', new Response(null, { status: 500 }), /ok: false/],
    ['has a status code of 503', { statusCode: 503, headers: {} }, /statusCode: 503/],
    ['has a status of 404', { status: 404, data: '' }, /status: 404/],
    [
      'has a rejected entry',
      [
        { status: 'fulfilled', value: 1 },
        { status: 'rejected', reason: 'x' },
      ],
      /'rejected' \(entry 1/,
    ],
    [
      'has a response that failed',
      [new Response(), new Response(null, { status: 500 })],
      /ok: false \(entry 1/,
    ],
    [
      'has a response that failed among fulfilled entries',
      [{ status: 'fulfilled', value: new Response(null, { status: 429 }) }],
      /ok: false \(entry 0/,
    ],
    ['has an error among its entries', [1, new Error('x')], /an Error \(entry 1/],
    [
      'has an error in a pipeline of Redis',
      [
        [null, 'OK'],
        [new Error('WRONGTYPE'), undefined],
      ],
      /an Error \(entry 1/,
    ],
    ['has promises that nobody waits for', [Promise.resolve()], /Promise\.all/],
    ['is a result of SQS with failures', { ...sqsResult, Failed: [{ Id: '2', Code: 'x' }] }, /'Failed'/],
    [
      'has results of SQS with failures',
      [sqsResult, { ...sqsResult, Failed: [{ Id: '2' }] }],
      /Failed \(entry 1/,
    ],
    ['is a result of Firehose with failures', { FailedPutCount: 2 }, /'FailedPutCount'/],
    ['is a result of Kinesis with failures', { FailedRecordCount: 2, Records: [] }, /'FailedRecordCount'/],
    ['is a result of EventBridge with failures', { FailedEntryCount: 1 }, /'FailedEntryCount'/],
    ['is a result of DynamoDB with leftovers', { UnprocessedItems: { table: [{}] } }, /'UnprocessedItems'/],
    ['is a result of Supabase with an error', { data: null, error: { message: 'x' } }, /'error'/],
    ['is a bulk result of MongoDB with errors', { ok: 1, writeErrors: [{ index: 0 }] }, /'writeErrors'/],
    ['has rejected items', { accepted: 2, rejected: [3] }, /'rejected'/],
    ['has a count of errors', { error_count: 2 }, /'error_count'/],
  ])('%s', (_case, result, sign) => {
    const found = readFlushAnswer(result, 3);
    expect(found).toMatchObject({ kind: 'invalid', error: { code: 'ERR_BACKPRESSURE_INVALID_RESULT' } });
    const message = found.kind === 'invalid' ? found.error.message : '';
    expect(message).toMatch(sign);
    expect(message).toContain(
      'return { success, failed, errors }, with an ItemError for each item that failed',
    );
  });

  it('has "errors: true", as a bulk result of Elasticsearch, which says how to map it', () => {
    const found = readFlushAnswer({ took: 3, errors: true, items: [] }, 3);
    expect(found.kind === 'invalid' && found.error.message).toMatch(
      /'success' must be a count; got undefined\. To map a destination's own result, throw if no item arrived/,
    );
  });

  it('cannot be read, with what was thrown as the cause', () => {
    const thrown = new Error('no peeking');
    const hostile = [
      new Proxy(
        {},
        {
          has: () => {
            throw thrown;
          },
        },
      ),
      {
        get ok() {
          throw thrown;
        },
      },
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw thrown;
          },
        },
      ),
    ];
    for (const result of hostile) {
      const found = readFlushAnswer(result, 1);
      expect(found).toMatchObject({
        kind: 'invalid',
        error: { code: 'ERR_BACKPRESSURE_INVALID_RESULT', cause: thrown },
      });
    }
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(readFlushAnswer(proxy, 1).kind).toBe('invalid');
  });
});

describe('findPartialFailure', () => {
  it('says nothing of methods, whatever their names', () => {
    expect(
      findPartialFailure({ getWriteErrors: () => [1], errors2: 1, failed: undefined, error: () => 1 }),
    ).toBeUndefined();
  });
});
