/** `spillway/jetstream`: a stream of NATS JetStream as a log for `consumeLog`. */

export { jetStreamLog, type JetStreamLogOptions } from './jetstream-log.js';
export { LogError, type LogFailureClass } from '../log/log-error.js';
export type {
  LaneBounds,
  LaneReader,
  Log,
  LogBounds,
  LogCopy,
  LogMessage,
  LogPosition,
  LogPublisher,
  LogRead,
  MessagePlace,
  OpenLog,
  ReadRoom,
} from '../log/log.js';
