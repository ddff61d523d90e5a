/** The messages of the soak: small rows, of which one in a thousand is bad. Pure. */

export const TABLE_COLUMNS = "id bigint NOT NULL, kind varchar(20) NOT NULL CHECK (kind <> 'refused')";

const BAD_EVERY = 1_000;
const BAD_AT = 7;
const BAD_BODIES: readonly ((id: number) => string)[] = [
  (id) => `not JSON ${id}`,
  (id) => JSON.stringify({ id, kind: 'refused' }),
  (id) => JSON.stringify({ id, kind: 'x'.repeat(4_000) }),
  (id) => `{"id":${id},"kind":"\\u0000"}`,
];

export function isBad(id: number): boolean {
  return id % BAD_EVERY === BAD_AT;
}

export function countBad(messages: number): number {
  return Math.ceil(Math.max(0, messages - BAD_AT) / BAD_EVERY);
}

export function bodyOf(id: number): string {
  if (!isBad(id)) return `{"id":${id},"kind":"order"}`;
  return BAD_BODIES[Math.floor(id / BAD_EVERY) % BAD_BODIES.length]!(id);
}
