/** What flags say of how values are written. */

import type { DateOrder } from './dates.js';
import { exampleOf, type NumberFormat } from './numbers.js';

/** What is done with U+0000, which PostgreSQL cannot store. */
export const NUL_ACTIONS = ['strip', 'replace'] as const;
export type NulAction = (typeof NUL_ACTIONS)[number];

/** What helps against it. */
export const NUL_HELP = '--nul strip leaves it out, --nul replace makes it U+FFFD';
export const HAS_NUL = `holds the character U+0000, which PostgreSQL cannot store; ${NUL_HELP}`;

export interface ValueFlags {
  /** `--dates` */
  readonly dates: DateOrder | undefined;
  /** `--numbers`, or `--decimal-comma`. */
  readonly numbers: NumberFormat | undefined;
  /** `--booleans` */
  readonly booleans: boolean;
}

/** Returns whether values may have to be rewritten for the server. It reads the words of booleans itself. */
export function convertsValues({ dates, numbers }: ValueFlags): boolean {
  return dates !== undefined || numbers !== undefined;
}

/** What an import compares: absent flags are left out, as in imports of versions without them. */
export function valueFlagsToJson({ dates, numbers, booleans }: ValueFlags): object {
  return {
    ...(dates !== undefined && { dates }),
    ...(numbers !== undefined && { numbers: exampleOf(numbers) }),
    ...(booleans && { booleans }),
  };
}
