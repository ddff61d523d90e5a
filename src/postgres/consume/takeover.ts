/**
 * When a worker claims a lane whose lease is over, and when it lays its own lane down for it. Pure.
 *
 * | the next lease to end, of any worker | a slot is free | all slots are busy |
 * |---|---|---|
 * | there is none, or it ends later | looks again when it ends, or after half a lease | the same |
 * | it is over | claims the lane at once | claims it after `HEAD_START_MS`, unless another worker has done so |
 * | it is over, and a session has locked the lane | looks again soon, until the session has ended | the same |
 * | it is over, and a lane waits for each slot | looks again when a slot has taken one, or after half a lease | the same |
 *
 * | a slot's lane | a lane was claimed for it | none was |
 * |---|---|---|
 * | has had its turn: a batch, or a wait without messages | lays its own lane down, and loads that one | goes on |
 * | has not had its turn | goes on | goes on |
 *
 * So no lane is laid down twice without having come further, however many workers are killed. A lane that is laid down is free: it is among the
 * first that are claimed, since it is older than those that nobody has begun.
 */

/** Workers with a free slot come first: then no lane has to be laid down. */
const HEAD_START_MS = 200;
/** Between two looks at a lane that a session has locked, or that other workers are about to claim. */
const RETRY_MS = 250;

export interface Look {
  /** Undefined: no lane is held, or none may be claimed now. */
  readonly nextEndInMs: number | undefined;
  readonly hasFreeSlot: boolean;
  readonly leaseMs: number;
}

/** True if a lane may be claimed whose lease is over. */
export function mayTakeOver({ nextEndInMs, hasFreeSlot }: Look): boolean {
  return nextEndInMs !== undefined && nextEndInMs < (hasFreeSlot ? 0 : -HEAD_START_MS);
}

/** How long until the next look. A lease that is renewed meanwhile ends later, never earlier. */
export function lookAgainInMs({ nextEndInMs = Infinity, hasFreeSlot, leaseMs }: Look): number {
  const dueInMs = nextEndInMs + (hasFreeSlot ? 0 : HEAD_START_MS);
  return dueInMs >= 0 ? Math.min(dueInMs + 1, leaseMs / 2) : Math.min(RETRY_MS, leaseMs / 4);
}
