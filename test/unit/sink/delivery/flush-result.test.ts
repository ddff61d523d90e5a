import { describe, expect, it } from 'vitest';
import { interpretResult as read } from '../../../../src/sink/delivery/flush-result.js';
import { ItemError, StageErrors } from '../../../../src/api/errors.js';

const stageErrors = new StageErrors();
const readFlushAnswer = (answer: unknown, length: number) => read(answer, length, stageErrors);

describe('an answer', () => {
  it('a result of nothing means that all items succeeded', () => {
    expect(readFlushAnswer(undefined, 3)).toEqual({ kind: 'succeeded' });
  });

  it('without failures means so too, whatever errors it lists', () => {
    expect(readFlushAnswer({ success: 3, failed: 0, errors: [new Error('warning')] }, 3).kind).toBe(
      'succeeded',
    );
  });

  it('names items by ItemError, and counts those that it does not name', () => {
    const named = new ItemError(1, { retryable: true });
    const answer = readFlushAnswer({ success: 1, failed: 3, errors: [named, new Error('disk full')] }, 4);
    expect(answer).toMatchObject({ kind: 'partial', unnamed: 2 });
    if (answer.kind !== 'partial') throw new Error('not partial');
    expect([...answer.named]).toEqual([[1, { error: named, retryable: true }]]);
    expect(answer.unnamedError?.message).toBe('2 of 4 items failed, unnamed: disk full');
    expect(answer.unnamedError?.cause).toMatchObject({ message: 'disk full' });
  });

  it('keeps all errors of unnamed failures', () => {
    const errors = [new Error('one'), new Error('two')];
    const answer = readFlushAnswer({ success: 0, failed: 2, errors }, 2);
    expect(answer.kind === 'partial' && (answer.unnamedError?.cause as AggregateError).errors).toEqual(
      errors,
    );
  });

  it('may give no reason at all', () => {
    const answer = readFlushAnswer({ success: 0, failed: 2, errors: [] }, 2);
    expect(answer.kind === 'partial' && answer.unnamedError?.message).toBe('2 of 2 items failed, unnamed');
  });

  const errors: Error[] = [];
  it.each<[string, unknown, RegExp]>([
    ['success missing', { failed: 0, errors }, /'success' must be a count; got undefined/],
    ['a fraction', { success: 2.5, failed: 0.5, errors }, /'success' must be a count; got 2.5/],
    ['a negative count', { success: 4, failed: -1, errors }, /'failed' must be a count; got -1/],
    ['NaN', { success: NaN, failed: 0, errors }, /'success' must be a count; got NaN/],
    [
      'too few',
      { success: 1, failed: 1, errors },
      /success \(1\) \+ failed \(1\) is not the batch's 3 items/,
    ],
    [
      'too many',
      { success: 4, failed: 0, errors },
      /success \(4\) \+ failed \(0\) is not the batch's 3 items/,
    ],
    ['errors missing', { success: 3, failed: 0 }, /'errors' must be an array; got undefined/],
    ['an index outside', { success: 2, failed: 1, errors: [new ItemError(3)] }, /names item 3 of 3/],
    ['a negative index', { success: 2, failed: 1, errors: [new ItemError(-1)] }, /names item -1 of 3/],
    [
      'an index twice',
      { success: 1, failed: 2, errors: [new ItemError(0), new ItemError(0)] },
      /two ItemErrors name item 0/,
    ],
    [
      'more names than failures',
      { success: 3, failed: 0, errors: [new ItemError(0)] },
      /1 ItemErrors, but 'failed' is 0/,
    ],
  ])('a wrong result is refused with its fault: %s', (_case, answer, message) => {
    const read = readFlushAnswer(answer, 3);
    expect(read).toMatchObject({ kind: 'invalid', error: { code: 'ERR_BACKPRESSURE_INVALID_RESULT' } });
    expect(read.kind === 'invalid' && read.error.message).toMatch(message);
  });
});
