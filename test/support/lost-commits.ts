import type { TestProxy } from './postgres-proxy.js';

/**
 * Takes the connections away at a COMMIT: before it arrives, or with its answer.
 *
 * @param decide gets the number of each COMMIT, from 1 on, and tells what is lost
 */
export function loseCommits(
  proxy: TestProxy,
  decide: (commit: number) => 'commit' | 'answer' | undefined,
): void {
  let commits = 0;
  let isAnswerDue = false;
  const lose = (): 'drop' => {
    setImmediate(() => proxy.cut());
    return 'drop';
  };
  proxy.onData = (chunk) => {
    if (!chunk.includes('COMMIT\0')) return undefined;
    commits += 1;
    const lost = decide(commits);
    isAnswerDue ||= lost === 'answer';
    return lost === 'commit' ? lose() : undefined;
  };
  proxy.onAnswer = () => {
    if (!isAnswerDue) return undefined;
    isAnswerDue = false;
    return lose();
  };
}
