/** `spillway/jetstream`: a stream of NATS JetStream as a log for `consumeLog`. */

export { jetStreamLog, type JetStreamLogOptions } from './jetstream-log.js';
export { LogError, type LogFailureClass } from '../log/log-error.js';
export type * from '../log/log.js';
