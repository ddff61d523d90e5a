/**
 * A checksum of a set of flights that does not depend on their order, computed here from the source's rows and by the server from the
 * table's: the sum of a hash of each row, twice with different multipliers. The hash is a polynomial over the row's fields modulo the
 * prime 2³¹ − 1 (Rabin and Karp), because both a JavaScript number and SQL's bigint compute it exactly.
 */

import type { Flight } from './flight-source.js';

const PRIME = 2 ** 31 - 1;
/** Below 2²², so that a product stays below 2⁵³. */
const MULTIPLIERS = [1_000_003, 3_000_017] as const;
/** Delays are negative too. */
const DELAY_OFFSET = 100_000;

export interface Checksum {
  readonly rows: number;
  readonly sums: readonly [string, string];
}

export class FlightChecksum {
  #rows = 0;
  #first = 0;
  #second = 0;
  readonly #codes = new Map<string, number>();

  add(flight: Flight): void {
    const fields = [
      flight.date.getTime() / 1000,
      flight.delay + DELAY_OFFSET,
      flight.distance,
      this.#code(flight.origin),
      this.#code(flight.destination),
    ];
    this.#rows += 1;
    this.#first += hash(fields, MULTIPLIERS[0]);
    this.#second += hash(fields, MULTIPLIERS[1]);
    if (this.#rows > 4_000_000) throw new Error('beyond 4 000 000 rows the sums are no longer exact');
  }

  get value(): Checksum {
    return { rows: this.#rows, sums: [String(this.#first), String(this.#second)] };
  }

  /** Length and characters of an airport's code as one number. */
  #code(text: string): number {
    let code = this.#codes.get(text);
    if (code === undefined) {
      if (!/^[A-Z]{3}$/.test(text)) throw new Error(`${JSON.stringify(text)} is no airport's code`);
      code = text.length * 2 ** 24 + parseInt(Buffer.from(text, 'latin1').toString('hex'), 16);
      this.#codes.set(text, code);
    }
    return code;
  }
}

function hash(fields: readonly number[], multiplier: number): number {
  return fields.reduce((value, field) => (value * multiplier + field) % PRIME, 0);
}

/** The same, computed by the server. A NULL anywhere makes the row's hash NULL, and the sums differ. */
export function checksumQuery(table: string): string {
  const code = (column: string): string =>
    `(octet_length(${column}) * 16777216::bigint + ascii(${column}) * 65536 + ascii(substr(${column}, 2)) * 256 + ascii(substr(${column}, 3)))`;
  const fields = [
    'extract(epoch FROM date)::bigint',
    `(delay + ${DELAY_OFFSET})`,
    'distance',
    code('origin'),
    code('destination'),
  ];
  const [first, second] = MULTIPLIERS.map(
    (multiplier) =>
      `sum(${fields.reduce((value, field) => `((${value} * ${multiplier} + ${field}) % ${PRIME})`, '0::bigint')})::text`,
  );
  return `SELECT count(*)::int AS rows, ${first!} AS first, ${second!} AS second FROM ${table}`;
}
