import type { Writable } from 'node:stream';
import { SinkDrain, type DrainPort } from '../shutdown/drainable-sink.js';
import type { WriteSide } from './write/write-side.js';

/** What a stream provides for its drain by a shutdown, beside its write side. */
export interface StreamDrainPort extends Pick<DrainPort, 'passesOn' | 'countOpen' | 'halt'> {
  /** Nothing is open, and the stream has not failed. */
  isIdle(): boolean;
  /** A drain begins that is never lifted. */
  onDrain(): void;
  /** Settles what is there, in the state DRAINING or not. Rejects with the error that ends the stream. */
  settle(isDraining: boolean): Promise<void>;
}

/** The drain of a stream by a shutdown: keeps producers out at the write side, and lets in by rounds what they have offered meanwhile. */
export function streamDrain<T>(stream: Writable, writeSide: WriteSide<T>, port: StreamDrainPort): SinkDrain {
  let mark: number | undefined;
  return new SinkDrain({
    passesOn: port.passesOn,
    isClosed: () => stream.closed,
    countOpen: () => port.countOpen(),
    prepare: () => void stream.on('error', () => undefined),
    settle: () => port.settle(false),
    drain: () => {
      if (!stream.destroyed && !stream.writableEnded) {
        mark = writeSide.beginDrain();
        port.onDrain();
      }
      return port.settle(true);
    },
    drainMore: () => {
      if (mark === undefined || port.isIdle()) return Promise.resolve();
      mark = writeSide.renewDrain(mark);
      return port.settle(true);
    },
    halt: () => port.halt(),
    end: (reason) => writeSide.endFor(reason, port.isIdle(), mark),
  });
}
