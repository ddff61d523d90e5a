import { LONGEST_DELAY_MS, type Clock } from '../../common/clock.js';
import { Deadline } from '../../common/deadline.js';
import { toError } from '../../common/thrown.js';
import type { DeliveryAbort } from './delivery-abort.js';

/** Awaits a handler of the user; after an abort for at most `graceMs`, and then rejects with the abort's reason. */
export function awaitHandler(
  clock: Clock,
  graceMs: number,
  abort: DeliveryAbort,
  handler: () => unknown,
): Promise<void> {
  return new Promise((resolve, reject) => {
    // Never fires in practice; a pending timer keeps the process alive while items are unsettled.
    const hold = clock.setTimeout(() => undefined, LONGEST_DELAY_MS);
    let grace: Deadline | undefined;
    const end = (settle: () => void) => {
      grace?.clear();
      clock.clearTimeout(hold);
      abort.setPending(undefined);
      settle();
    };
    abort.setPending({
      interrupt: (error) => {
        abort.setPending(undefined);
        grace = new Deadline(clock, graceMs, () => end(() => reject(error)));
        grace.start();
      },
    });
    // Called only now, because the handler itself may abort everything.
    new Promise((settle) => settle(handler())).then(
      () => end(resolve),
      (error: unknown) => end(() => reject(toError(error))),
    );
  });
}
