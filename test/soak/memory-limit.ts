/** The container that the guide asks for (src/postgres/README.md, "Memory"), for the service of the soak. */

import { MIB } from '../../src/common/bytes.js';
import { SINK_NAMES, type ServiceConfig } from './protocol.js';

/** Node.js with the library, as the guide counts it. */
const NODE_BYTES = 100 * MIB;
/** What the guide does not count: the loader of TypeScript, Fastify, and the bodies of requests. */
const SERVICE_BYTES = 80 * MIB;
/** Defaults of `copyInto`. */
const CONNECTIONS = 3;
const BATCH_BYTES = 4 * MIB;

/** Resident memory that suffices, and the heap (`--max-old-space-size`) that belongs to it. */
export function memoryLimit({ maxBufferBytes }: Pick<ServiceConfig, 'maxBufferBytes'>): {
  residentBytes: number;
  heapBytes: number;
} {
  const sinkBytes = 3 * maxBufferBytes + CONNECTIONS * 2 * BATCH_BYTES;
  const heapBytes = SERVICE_BYTES + SINK_NAMES.length * sinkBytes;
  return { residentBytes: NODE_BYTES + heapBytes, heapBytes };
}
