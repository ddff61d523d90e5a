/** Names for columns that the header leaves without one, or gives the same one. Pure. */

/** Returns `column1`, `column2` … */
export function numberedNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `column${index + 1}`);
}

export interface RepairedNames {
  readonly names: readonly string[];
  /** What was changed, for people. */
  readonly notes: readonly string[];
}

/** An empty name becomes `columnN`, by its place; a second `name` becomes `name_2`. A new name is never one that the header has. */
export function repairNames(header: readonly string[]): RepairedNames {
  const taken = new Set(header);
  const used = new Set<string>();
  const notes: string[] = [];
  const names = header.map((name, index) => {
    if (name !== '' && !used.has(name)) {
      used.add(name);
      return name;
    }
    const base = name === '' ? `column${index + 1}` : name;
    let free = base;
    for (let number = 2; taken.has(free) || used.has(free); number += 1) free = `${base}_${number}`;
    used.add(free);
    notes.push(
      name === ''
        ? `the column ${index + 1} has no name in the header; it is "${free}"`
        : `the header has ${JSON.stringify(name)} more than once; the column ${index + 1} is ${JSON.stringify(free)}`,
    );
    return free;
  });
  return { names, notes };
}
