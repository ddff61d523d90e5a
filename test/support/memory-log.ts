/** A log in memory: the second implementation of the contract, beside that of JetStream. */

import type {
  LaneBounds,
  LaneReader,
  Log,
  LogBounds,
  LogCopy,
  LogMessage,
  LogPublisher,
  LogRead,
  MessagePlace,
  OpenLog,
  ReadRoom,
} from '../../src/log/log.js';

interface Stored {
  readonly lane: number;
  readonly position: number;
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly timestamp: Date;
}

/** In blocks: a lane is a block of positions, from 1. In partitions: each lane has positions of its own, from 0. */
export type MemoryLogKind = { readonly laneSize: number } | { readonly partitions: number };

const SOME_TIME = 1_700_000_000_000;

export class MemoryLog implements Log {
  readonly name: string;
  /** Messages that readers have been given, by lane and position. */
  readonly reads = new Map<string, number>();
  /** Called before each read. */
  onRead: (lane: number) => Promise<void> | void = () => undefined;
  /** Called with each copy of a dead letter. Undefined: the log takes none. */
  onPublish: ((copy: LogCopy, subject: string) => Promise<void> | void) | undefined;
  readonly #kind: MemoryLogKind;
  readonly #messages: Stored[] = [];
  readonly #ends: number[];
  /** All before it are deleted, of each lane or of the log. */
  #oldest = 0;
  #waiting: (() => void)[] = [];

  constructor(kind: MemoryLogKind, name = 'memory') {
    this.#kind = kind;
    this.name = name;
    this.#ends = 'partitions' in kind ? new Array<number>(kind.partitions).fill(0) : [1];
  }

  /** @param skip positions that stay without a message before it */
  append(body: string | object, { lane = 0, skip = 0, subject = 'memory', at = SOME_TIME } = {}): void {
    const index = 'partitions' in this.#kind ? lane : 0;
    const position = this.#ends[index]! + skip;
    this.#ends[index] = position + 1;
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const laneOf = 'partitions' in this.#kind ? lane : Math.floor((position - 1) / this.#kind.laneSize);
    this.#messages.push({ lane: laneOf, position, subject, bytes, timestamp: new Date(at) });
    for (const wake of this.#waiting.splice(0)) wake();
  }

  deleteBefore(position: number): void {
    this.#oldest = position;
    this.#messages.splice(
      0,
      this.#messages.length,
      ...this.#messages.filter((one) => one.position >= position),
    );
  }

  open(): Promise<OpenLog> {
    return Promise.resolve({
      source: { log: this.name },
      hasOneOrder: this.#inOrder,
      bounds: (_signal: AbortSignal, start?: Date | number) => Promise.resolve(this.#bounds(start)),
      find: (lane: LaneBounds, from: number) => Promise.resolve(this.#find(lane, from)),
      ...(this.onPublish !== undefined && { publisher: (subject: string) => this.#publisher(subject) }),
      reader: (lane: LaneBounds, from: number) => this.#reader(lane, from),
    });
  }

  #bounds(start?: Date | number): LogBounds {
    const kind = this.#kind;
    /** Of a partition, or of the log. */
    const oldestOf = (partition: number, end: number): number => {
      if (start === undefined) return this.#oldest;
      const found = this.#messages.find(
        ({ lane, timestamp, position }) =>
          (this.#inOrder || lane === partition) &&
          (start instanceof Date ? timestamp >= start : position >= start),
      );
      return Math.max(this.#oldest, found?.position ?? end);
    };
    if ('partitions' in kind) {
      const ends = [...this.#ends];
      return {
        firstLane: 0,
        lastLane: kind.partitions - 1,
        lane: (lane) => {
          const end = ends[lane]!;
          return { lane, first: 0, last: Number.MAX_SAFE_INTEGER - 1, oldest: oldestOf(lane, end), end };
        },
      };
    }
    const { laneSize } = kind;
    const end = this.#ends[0]!;
    const oldest = oldestOf(0, end);
    const laneOf = (position: number): number => Math.floor((position - 1) / laneSize);
    return {
      firstLane: laneOf(Math.max(1, oldest)),
      lastLane: laneOf(end),
      lane: (lane) => {
        const first = lane * laneSize + 1;
        const last = first + laneSize - 1;
        return { lane, first, last, oldest, end: Math.min(Math.max(end, first), last + 1) };
      },
    };
  }

  #publisher(subject: string): Promise<LogPublisher> {
    return Promise.resolve(async (copy) => this.onPublish!(copy, subject));
  }

  #find({ lane }: LaneBounds, from: number): MessagePlace | undefined {
    const isWanted = (one: Stored): boolean => one.position >= from && (this.#inOrder || one.lane === lane);
    return this.#messages.find(isWanted);
  }

  get #inOrder(): boolean {
    return !('partitions' in this.#kind);
  }

  #reader({ lane, last }: LaneBounds, from: number): LaneReader {
    let next = from;
    let isClosed = false;
    let close = (): void => undefined;
    return {
      read: async (room: ReadRoom, waitMs: number): Promise<LogRead> => {
        await this.onRead(lane);
        const take = (): Stored[] => {
          const found = this.#messages
            .filter((one) => one.lane === lane && one.position >= next)
            .slice(0, room.messages);
          let bytes = 0;
          return found.filter((one, index) => (bytes += one.bytes.length) <= room.bytes || index === 0);
        };
        let found = take();
        if (found.length === 0 && !isClosed && this.#endOf(lane) <= last) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, Math.min(waitMs, 50));
            close = () => {
              clearTimeout(timer);
              resolve();
            };
            this.#waiting.push(close);
          });
          found = take();
        }
        const messages = found.map((one) => this.#message(one));
        const end = Math.min(this.#endOf(lane), last + 1);
        const reached =
          Math.max(next, messages.length > 0 ? messages.at(-1)!.position + 1 : isClosed ? next : end) - 1;
        next = reached + 1;
        return { messages, reached, oldest: this.#oldest };
      },
      close: () => {
        isClosed = true;
        close();
      },
    };
  }

  #endOf(lane: number): number {
    return this.#ends['partitions' in this.#kind ? lane : 0]!;
  }

  #message({ lane, position, subject, bytes, timestamp }: Stored): LogMessage {
    const key = `${lane}/${position}`;
    this.reads.set(key, (this.reads.get(key) ?? 0) + 1);
    return {
      lane,
      position,
      subject,
      bytes,
      timestamp,
      headers: undefined,
      json: () => JSON.parse(Buffer.from(bytes).toString()) as unknown,
    };
  }
}
