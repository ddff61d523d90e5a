/** Fills a stream with the messages of the soak, in the order of their ids. */

import { jetstreamManager } from '@nats-io/jetstream';
import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import { bodyOf } from './bad-messages.js';

/** So many are on their way at a time. */
const WINDOW = 4_000;
const SILENCE_MS = 30_000;

/** The id of a message is one less than its sequence. @throws if the server has not stored each of them */
export async function fillStream(nats: NatsConnection, stream: string, messages: number): Promise<void> {
  const manager = await jetstreamManager(nats);
  await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
  const inbox = createInbox();
  let stored = 0;
  let wake = (): void => undefined;
  const subscription = nats.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null || message.string().includes('"error"')) throw error ?? new Error(message.string());
      stored += 1;
      if (stored % 500 === 0 || stored === messages) wake();
    },
  });
  for (let id = 0; id < messages;) {
    const end = Math.min(messages, stored + WINDOW);
    for (; id < end; id += 1) nats.publish(`${stream}.a`, bodyOf(id), { reply: inbox });
    if (stored < messages) await progress();
  }
  while (stored < messages) await progress();
  subscription.unsubscribe();
  const { state } = await manager.streams.info(stream);
  if (state.last_seq !== messages) throw new Error(`the stream has ${state.last_seq} messages`);

  function progress(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the server stores nothing more')), SILENCE_MS);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
