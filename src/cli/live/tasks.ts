/** The view of a command that does a few things one after another, and prints its result: only on a terminal. */

import { startProgress } from './progress.js';

export interface Tasks {
  /** Shows what is done next. */
  step(doing: string): void;
  stop(): void;
}

interface TaskTerminal {
  readonly stderr: NodeJS.WriteStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function startTasks(title: string, { stderr, environment }: TaskTerminal, quiet = false): Tasks {
  let doing = '';
  const progress = startProgress({ quiet, environment, plainIntervalMs: false }, stderr, {
    read: () => ({ kind: 'task', title, doing, isStopping: false }),
    line: () => doing,
  });
  return {
    step: (next) => {
      doing = next;
    },
    stop: () => progress.stop(),
  };
}

/** What is done first. */
export function connecting({ kind }: { readonly kind: string }): string {
  return kind === 'embedded' ? 'starting the embedded PostgreSQL' : 'connecting to PostgreSQL';
}
