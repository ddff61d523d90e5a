/** The items of the in-process benchmarks, and the destination that looks at each of them. */

export interface Item {
  readonly id: number;
  readonly value: string;
}

export function makeItems(count: number): Item[] {
  return Array.from({ length: count }, (_, id) => ({ id, value: `value ${id}` }));
}

/** Sees every item; finds out whether each came once and in order. */
export class Inspector {
  received = 0;
  #next = 0;
  #fault: string | undefined;

  readonly take = (item: Item): void => {
    if (item.id !== this.#next) this.#fault ??= `item ${item.id} came where ${this.#next} was due`;
    this.#next = item.id + 1;
    this.received += 1;
  };

  verdict(expected: number): string | undefined {
    return countFault(this.received, expected) ?? this.#fault;
  }
}

export function countFault(received: number, expected: number): string | undefined {
  return received === expected ? undefined : `${received} of ${expected} items arrived`;
}
