/** Places of items in an ordered source. */

/** The place of an item: the number of a record, an offset in a log. */
export type Position = number | bigint;

/**
 * Describes a position that is out of order. A sink allows items to share a position; an import does not, because a position that has been
 * committed is never written again.
 */
export function describeOutOfOrder(position: Position, before: Position, mayShare: boolean): string {
  const rule = mayShare ? 'must not give an item a lower position' : 'must give each item a higher position';
  return `positionOf ${rule} than the one before: ${position} follows ${before}`;
}
