/** Throws if an invariant of the engine itself does not hold. Not `node:assert`, which every importer of the package would load. */
export function assert(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(`defect in spillway: ${message}`);
}
