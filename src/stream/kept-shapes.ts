import { AsyncResource } from 'node:async_hooks';

/** One stream of each class that is never used and never let go of, so that its shape outlives all the others. */

const kept = new Map<unknown, object | undefined>();

/** What is kept must not keep the context of the first user's stream. */
const outside = new AsyncResource('SPILLWAY');

/**
 * V8 forgets the shape of an object, and throws away the code that it has compiled for it, once a collection finds no object of that
 * shape. Where streams come and go, each would be slow until its code has been compiled anew, and again for whatever it shares with others.
 * The one that is kept must come before the first that is used: a shape cannot be widened afterwards without a new one.
 */
export function keepShapeOf(kind: unknown, make: () => object): void {
  if (kept.has(kind)) return;
  // `make` comes here again.
  kept.set(kind, undefined);
  kept.set(kind, outside.runInAsyncScope(make));
}
