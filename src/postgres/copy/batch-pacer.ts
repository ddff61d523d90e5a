import { WorkPacer, type TurnBudget } from '../../common/turn-budget.js';
import { AbortFault } from '../connection/answer-deadline.js';

/** Work through a batch, in turns of the event loop, until its signal fires. */
export class BatchPacer extends WorkPacer {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal, budget?: TurnBudget) {
    super(budget);
    this.#signal = signal;
  }

  /** @throws {AbortFault} the batch was given up meanwhile */
  override async nextTurn(): Promise<void> {
    await super.nextTurn();
    if (this.#signal.aborted) throw new AbortFault(this.#signal);
  }
}
