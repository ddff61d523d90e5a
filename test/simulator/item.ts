/** One item of a run, with all that is known of it; in byte mode the chunk itself carries this. */
export interface Item {
  id: number;
  size: number;
  /** `shed` may drop it. */
  isLow: boolean;
  /** What the producer was told; undefined while it was not. */
  answer: boolean | undefined;
  outcome: 'open' | 'flushed' | 'failed' | 'dropped';
  isAmbiguous: boolean;
  /** The batch that it is a part of; -1 before. */
  batch: number;
  weight: number;
  /** How often the destination has stored it. */
  kept: number;
  /** A call with it ended without telling whether it was kept. */
  wasUncertain: boolean;
  wasDropped: boolean;
  wasHandled: boolean;
  wasHandedBack: boolean;
}

const zeros = Buffer.alloc(4_096);

export function createItem(id: number, size: number, isLow: boolean, isChunk: boolean): Item {
  const item: Item = {
    id,
    size,
    isLow,
    answer: undefined,
    outcome: 'open',
    isAmbiguous: false,
    batch: -1,
    weight: 0,
    kept: 0,
    wasUncertain: false,
    wasDropped: false,
    wasHandled: false,
    wasHandedBack: false,
  };
  return isChunk ? Object.assign(zeros.subarray(0, size), item) : item;
}

/** Items may share a position, as the parts of one record do; and it may be too large for a number. */
export function positionOf(id: number, itemsPerPosition: number): number | bigint {
  return itemsPerPosition === 1 ? id : BigInt(Math.floor(id / itemsPerPosition));
}
