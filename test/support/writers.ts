/** Writers of all manners: each writes its items into a stream that others write into, too, and resolves when it is through or may not go on. */

import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BackpressureController } from '../../src/index.js';
import { turn } from './stream.js';

export type WriterManner = (stream: Writable, chunks: readonly unknown[], web: WebWriter) => Promise<unknown>;

/** The one web writer of a stream, which those who write to the web share. */
export type WebWriter = () => { write(chunk: unknown): Promise<void>; readonly ready: Promise<unknown> };

/** What a writer waits for that was told to wait. The stream may end instead. */
function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) return resolve();
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}

function ended(stream: Writable, source: Readable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) return resolve();
    source.once('end', resolve);
    stream.once('close', resolve);
  });
}

/** They heed `false`: no stream may fail because of them, however many there are. */
export const POLITE: Readonly<Record<string, WriterManner>> = {
  "a loop with once('drain')": async (stream, chunks) => {
    for (const chunk of chunks) {
      if (stream.destroyed) return;
      if (!stream.write(chunk)) await drained(stream);
    }
  },
  'a loop that asks writableNeedDrain first': async (stream, chunks) => {
    for (const chunk of chunks) {
      while (stream.writableNeedDrain && !stream.destroyed) await drained(stream);
      if (stream.destroyed) return;
      stream.write(chunk);
      await Promise.resolve();
    }
  },
  'a loop that corks': async (stream, chunks) => {
    for (const [place, chunk] of chunks.entries()) {
      if (stream.destroyed) return;
      if (place % 3 === 0) stream.cork();
      const mayGoOn = stream.write(chunk);
      if (place % 3 === 2 || !mayGoOn || place === chunks.length - 1) stream.uncork();
      if (!mayGoOn) await drained(stream);
    }
  },
  pipe: (stream, chunks) => {
    const source = Readable.from(chunks);
    source.pipe(stream, { end: false });
    return ended(stream, source);
  },
  'pipe of a slow source': (stream, chunks) => {
    const source = Readable.from(slowly(chunks));
    source.pipe(stream, { end: false });
    return ended(stream, source);
  },
  'pipeline of a Readable with end: false': (stream, chunks) =>
    pipeline(Readable.from(chunks), stream, { end: false }),
  'pipeline of a generator with end: false': (stream, chunks) =>
    pipeline(() => slowly(chunks), stream, { end: false }),
};

/** They share the one web writer of a stream. Beside others Node's adapter loses a chunk if the stream asks to wait, also of a plain `Writable`. */
export const WEB: Readonly<Record<string, WriterManner>> = {
  'a web writer that waits for each write': async (_stream, chunks, web) => {
    for (const chunk of chunks) await web().write(chunk);
  },
  'a web writer that waits for ready': async (_stream, chunks, web) => {
    let last: Promise<unknown> = Promise.resolve();
    for (const chunk of chunks) {
      await web().ready;
      last = Promise.allSettled([last, web().write(chunk)]);
    }
    await last;
  },
  'a web writer that waits for all': (_stream, chunks, web) =>
    Promise.all(chunks.map((chunk) => web().write(chunk))),
};

async function* slowly(chunks: readonly unknown[]): AsyncGenerator {
  for (const [place, chunk] of chunks.entries()) {
    if (place % 2 === 0) await Promise.resolve();
    else await turn(1);
    yield chunk;
  }
}

/** They do not heed `false`, or nobody can see in time that they do. */
export const IMPOLITE: Readonly<Record<string, WriterManner>> = {
  'a loop that listens late': async (stream, chunks) => {
    for (const chunk of chunks) {
      if (stream.destroyed) return;
      if (stream.write(chunk)) continue;
      await turn(1);
      if (stream.writableNeedDrain) await drained(stream);
    }
  },
  'a loop that ignores drain': async (stream, chunks) => {
    for (const [place, chunk] of chunks.entries()) {
      if (stream.destroyed) return;
      stream.write(chunk);
      if (place % 3 === 2) await turn(1);
    }
  },
  'all in one go': (stream, chunks) => {
    for (const chunk of chunks) if (!stream.destroyed) stream.write(chunk);
    return Promise.resolve();
  },
  'a loop that waits for write callbacks only': async (stream, chunks) => {
    for (const chunk of chunks) {
      if (stream.destroyed) return;
      await new Promise((resolve) => void stream.write(chunk, resolve));
    }
  },
};

export type PushManner = (push: Push, items: readonly number[]) => Promise<unknown>;

/** A controller whose `push` settles in any case; answers whether the controller goes on. */
export interface Push {
  readonly controller: BackpressureController<unknown>;
  readonly push: (item: number) => Promise<boolean>;
  readonly tryPush: (item: number) => boolean;
}

export const PUSHERS: Readonly<Record<string, PushManner>> = {
  'a loop that waits for each push': async ({ push }, items) => {
    for (const item of items) if (!(await push(item))) return;
  },
  'all pushes at once': ({ push }, items) => Promise.all(items.map((item) => push(item))),
  'a loop of tryPush and whenBelow': async ({ controller, tryPush }, items) => {
    for (const item of items) {
      if (!tryPush(item)) return;
      await controller.whenBelow(2).catch(() => undefined);
    }
  },
  'a loop that flushes after each push': async ({ controller, push }, items) => {
    for (const item of items) {
      if (!(await push(item))) return;
      await controller.flush().catch(() => undefined);
    }
  },
};
