import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options?: { type: 'minor' }) => void;

let gc: Collect | undefined;

function collector(): Collect {
  if (gc === undefined) {
    setFlagsFromString('--expose-gc');
    gc = runInNewContext('gc') as Collect;
  }
  return gc;
}

/**
 * Nobody pays for the young garbage of the one before. A full collection would do harm: with no stream alive it forgets the shapes of the
 * classes, and with them the code that was optimised for these shapes, so that every run would begin cold.
 */
export function collectYoungGarbage(): void {
  collector()({ type: 'minor' });
}

/** Everything that nobody holds, for where memory is measured and time is not. */
export function collectAllGarbage(): void {
  // One that was under way takes what has been made meanwhile for live: the second one does not. Without options, for with them (Node 20)
  // it keeps some of what nobody holds.
  collector()();
  collector()();
}
