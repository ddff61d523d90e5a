/** Names for columns that the header leaves without one, or gives the same one. Pure. */

import { counted } from '../common/counted.js';
import { snakeCaseNames } from '../common/snake-case.js';

/** Returns `column1`, `column2` … */
export function numberedNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `column${index + 1}`);
}

export interface RepairedNames {
  readonly names: readonly string[];
  /** What was changed, for people. */
  readonly notes: readonly string[];
}

/**
 * An empty name becomes `columnN`, by its place; a second `name` becomes `name_2`. A new name is never one that the header has.
 *
 * @param normalizes the names become snake_case
 */
export function repairNames(header: readonly string[], normalizes = false): RepairedNames {
  const { names, notes } = distinctNames(header);
  return { names: normalizes ? snakeCaseNames(names) : names, notes };
}

function distinctNames(header: readonly string[]): RepairedNames {
  const taken = new Set(header);
  const used = new Set<string>();
  const [named, numbered]: [string[], string[]] = [[], []];
  const names = header.map((name, index) => {
    if (name !== '' && !used.has(name)) {
      used.add(name);
      return name;
    }
    const base = name === '' ? `column${index + 1}` : name;
    let free = base;
    for (let number = 2; taken.has(free) || used.has(free); number += 1) free = `${base}_${number}`;
    used.add(free);
    (name === '' ? named : numbered).push(free);
    return free;
  });
  return { names, notes: notesOn(named, numbered) };
}

function notesOn(named: readonly string[], numbered: readonly string[]): string[] {
  const notes: string[] = [];
  if (named.length > 0)
    notes.push(`the header has no name for ${counted(named.length, 'column')}: ${listOf(named)}`);
  if (numbered.length > 0) notes.push(`the header has a name more than once: ${listOf(numbered)}`);
  return notes;
}

/** Names that a note lists. */
const MOST_LISTED = 5;

function listOf(names: readonly string[]): string {
  const listed = names.slice(0, MOST_LISTED).map((name) => JSON.stringify(name));
  return listed.join(', ') + (names.length > MOST_LISTED ? ' …' : '');
}
