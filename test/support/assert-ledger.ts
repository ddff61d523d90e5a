/** Makes each sink check its ledger's equations before every batch (invariant 2). Loaded before each file of tests. */

Object.assign(globalThis, { [Symbol.for('spillway.assert')]: true });
