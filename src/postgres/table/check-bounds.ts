/**
 * Reads the CHECK constraints that only compare a column with a number: `CHECK (((age >= 0) AND (age < 150)))`. They show which rows the server
 * will probably refuse. It is asked about each of them, so that a constraint that is not understood here costs time only. Pure.
 */

import type { NumberBound } from '../encoding/binary/line-check.js';

/** As PostgreSQL writes it: `(distance >= 0)`, `("Low" > '-1'::integer)`, `(price > (0)::numeric)`. */
const COMPARISON =
  /\(("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*) (>=|<=|>|<) \(?'?(-?\d+(?:\.\d+)?)'?\)?(?:::[a-z ]+)?\)/g;
/** What may stand around comparisons that must all hold. */
const CONJUNCTION = /^CHECK [()]+(?: AND [()]+)*(?: NO INHERIT)?(?: NOT VALID)?$/;

/** Returns the bounds of each column. @param definitions as `pg_get_constraintdef` writes them */
export function boundsOfChecks(definitions: readonly string[]): ReadonlyMap<string, readonly NumberBound[]> {
  const bounds = new Map<string, NumberBound[]>();
  for (const definition of definitions) {
    if (!CONJUNCTION.test(definition.replace(COMPARISON, '()'))) continue;
    for (const [, name = '', operator, number] of definition.matchAll(COMPARISON)) {
      const column = name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
      const ofColumn = bounds.get(column) ?? [];
      ofColumn.push({ operator: operator as NumberBound['operator'], value: Number(number) });
      bounds.set(column, ofColumn);
    }
  }
  return bounds;
}
