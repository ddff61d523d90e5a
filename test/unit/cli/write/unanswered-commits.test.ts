import { expect, it } from 'vitest';
import { UnansweredCommits } from '../../../../src/cli/write/unanswered-commits.js';
import { CopyError } from '../../../../src/postgres/errors/copy-error.js';

const open = new Error('the batch', {
  cause: new CopyError('lost', { failureClass: 'transport', ambiguous: true }),
});
const lost = new CopyError('lost', { failureClass: 'transport' });

async function rowsAfter(findsOut: boolean, ...attempts: (Error | 'loaded')[]): Promise<number> {
  const commits = new UnansweredCommits(findsOut);
  for (const attempt of attempts) {
    const work = attempt === 'loaded' ? Promise.resolve(attempt) : Promise.reject(attempt);
    await commits.watch(3, 10, work).catch((error: unknown) => expect(error).toBe(attempt));
  }
  return commits.rows;
}

it('counts the rows of a batch whose COMMIT is open, and of no other', async () => {
  expect(await rowsAfter(false, lost)).toBe(0);
  expect(await rowsAfter(false, open)).toBe(10);
  expect(await rowsAfter(true, open, lost)).toBe(10);
});

it('counts each open attempt if the batch is loaded again without a look', async () => {
  expect(await rowsAfter(false, open, open, 'loaded')).toBe(20);
});

it('counts nothing more once an attempt has found out', async () => {
  expect(await rowsAfter(true, open, open)).toBe(10);
  expect(await rowsAfter(true, open, 'loaded')).toBe(0);
});
