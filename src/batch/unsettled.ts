interface Part<T> {
  /** Orders the parts as their items were admitted. */
  first: number;
  items: T[];
}

/** The items that did not arrive, and are to be handed back. */
export class Unsettled<T> {
  #parts: Part<T>[] = [];

  add(first: number, items: T[]): void {
    if (items.length > 0) this.#parts.push({ first, items });
  }

  all(): T[] {
    return this.#parts.toSorted((a, b) => a.first - b.first).flatMap(({ items }) => items);
  }

  /** All of them, each handed out once. */
  take(): T[] {
    const items = this.all();
    this.#parts = [];
    return items;
  }
}
