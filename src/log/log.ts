/**
 * The contract of a durable log: messages that somebody else stores, in an order, for several readers on several machines.
 *
 *     lane 0           lane 1           lane 2
 *     ├──────────────┤ ├──────────────┤ ├─────╌╌╌╌╌╌╌╌╌┤
 *       ▲                                    ▲
 *       oldest: what the log still has       end: where the next message will be written
 *
 * A log is cut into lanes, which have numbers. A lane is a block of positions that one reader reads at a time: a block of a stream's sequences,
 * or a partition, or a file. Which positions a lane has never changes. A position may have no message, because it was deleted, or because
 * the reader's filter does not want it.
 *
 * The log keeps no account of who has read what. The destination does, so that rows and position are committed together.
 */

/** The place of a message in its lane, a safe integer. A later message of the same lane has a higher one. */
export type LogPosition = number;

/** A message of a log. */
export interface LogMessage {
  /** Returns the body as a value of JSON, parsed at each call. @throws {Error} if it is not JSON in UTF-8 */
  json(): unknown;
  readonly bytes: Uint8Array;
  readonly position: LogPosition;
  readonly lane: number;
  readonly subject: string;
  /** Names with all of their values. Undefined: there are none. */
  readonly headers: Readonly<Record<string, readonly string[]>> | undefined;
  /** When the log has taken it. */
  readonly timestamp: Date;
}

/** A log that has not been opened yet. */
export interface Log {
  /** @throws {LogError} if there is no such log, or it cannot be read by position */
  open(signal: AbortSignal): Promise<OpenLog>;
}

/** A message for a subject of the log. */
export interface LogCopy {
  /** The same for each copy of one message, so that the log may leave out those that it has. */
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/** Resolves once the log has stored it. @throws {LogError} */
export type LogPublisher = (copy: LogCopy, signal: AbortSignal) => Promise<void>;

export interface OpenLog {
  /** What identifies the log, and what is read of it, as values of JSON. A run that continues must find the same. */
  readonly source: Readonly<Record<string, unknown>>;
  /** Each lane continues the one before, so that all positions have one order. */
  readonly hasOneOrder: boolean;
  /**
   * Returns what the log has now. @throws {LogError}
   * @param start as if everything before it had been deleted: messages that the log has taken earlier, or lower positions
   */
  bounds(signal: AbortSignal, start?: Date | LogPosition): Promise<LogBounds>;
  /**
   * Returns the first message at or behind a position of a lane. In a log with one order it may be in a later lane. Undefined: there is none
   * yet. @throws {LogError}
   */
  find(lane: LaneBounds, from: LogPosition, signal: AbortSignal): Promise<MessagePlace | undefined>;
  /**
   * Returns what publishes to a subject. A log that cannot do so has no such method.
   *
   * @throws {LogError} `setup`, if nothing would store the messages, or this log would read them itself
   */
  publisher?(subject: string, signal: AbortSignal): Promise<LogPublisher>;
  /** Begins to read a lane. What is at fault is thrown by the first `read`. @param from the first position that is wanted */
  reader(lane: LaneBounds, from: LogPosition): LaneReader;
}

/** What a log has at one moment. */
export interface LogBounds {
  readonly firstLane: number;
  /** The lane in which the next message will be written, or of several the last. */
  readonly lastLane: number;
  /** Returns the bounds of a lane. @param lane any up to `lastLane` */
  lane(lane: number): LaneBounds;
}

export interface LaneBounds {
  readonly lane: number;
  /** The lane's first and last positions, both included, whether there are messages or not. They never change. */
  readonly first: LogPosition;
  readonly last: LogPosition;
  /** The first position that the log may still have. All before have been deleted. Behind `last`: none is left. */
  readonly oldest: LogPosition;
  /** All messages have lower positions, as yet. At most `last + 1`. */
  readonly end: LogPosition;
}

/** What there is room for. Both are at least 1; a single message may be larger. */
export interface ReadRoom {
  readonly messages: number;
  readonly bytes: number;
}

/** Where a message is, and since when. */
export interface MessagePlace {
  readonly position: LogPosition;
  readonly timestamp: Date;
}

export interface LogRead {
  /** In the order of their positions. Together they are within the room, except for a single message that is larger. */
  readonly messages: readonly LogMessage[];
  /** The lane has been read up to and including this position: what is not among the messages of this read or one before does not exist. */
  readonly reached: LogPosition;
  /** The oldest position that the log had after this read. Needed only if positions between those of the messages have none. */
  readonly oldest?: LogPosition | undefined;
}

/** Reads one lane, from a position to the lane's end. Calls of `read` do not overlap. */
export interface LaneReader {
  /**
   * Returns the next messages, as soon as there are some; or none after about `waitMs`. Interruptions of the connection are survived: a read
   * takes longer, and nothing is left out or given twice.
   *
   * @throws {LogError} if the log cannot be read any more
   */
  read(room: ReadRoom, waitMs: number): Promise<LogRead>;
  /** Frees what the reader holds. A `read` that waits returns without messages. */
  close(): void;
}
