/**
 * Events of streams and controllers, for their listeners and for the subscribers of `node:diagnostics_channel`.
 *
 * The channels are made once. If nobody has subscribed, a signal costs one look at its channel.
 */

import { channel, type Channel } from 'node:diagnostics_channel';
import type { EventEmitter } from 'node:events';
import type { SinkEvents } from '../api/events.js';
import type { SignalMessages } from '../api/signals.js';

type Events = SinkEvents<unknown>;
type Message<Name extends string> = Name extends `spillway:${string}` & keyof SignalMessages
  ? Omit<SignalMessages[Name], 'target'>
  : never;
/** What a message has beside its target. */
type MessagesOf = {
  [Name in Exclude<keyof Events, 'flush'>]: (...args: Events[Name]) => Message<`spillway:${Name}`>;
};

const messagesOf: MessagesOf = {
  state: (state, previous) => ({ state, previous }),
  drop: (item, reason) => ({ item, reason }),
  retry: (report) => report,
  breaker: (state, previous, reason) => ({ state, previous, reason }),
  failed: (failures) => ({ failures }),
};

const dropChannel = channel('spillway:drop');
/** `flush` is none of them: it has a tracing channel. */
const channels: Readonly<Record<string, Channel>> = {
  drop: dropChannel,
  state: channel('spillway:state'),
  retry: channel('spillway:retry'),
  breaker: channel('spillway:breaker'),
  failed: channel('spillway:failed'),
};

/** Emits an event, and publishes it if somebody has subscribed to its channel. */
export function emitSignal(target: EventEmitter, event: keyof Events, args: unknown[]): void {
  const subscribed = channels[event];
  if (subscribed?.hasSubscribers) {
    const messageOf = messagesOf[event as keyof MessagesOf] as (...args: unknown[]) => object;
    subscribed.publish({ target, ...messageOf(...args) });
  }
  target.emit(event, ...args);
}

/** Whether anybody wants to know of drops: a report of each that nobody reads costs more than the drop. */
export function observesDrops(target: EventEmitter): boolean {
  return target.listenerCount('drop') > 0 || dropChannel.hasSubscribers;
}
