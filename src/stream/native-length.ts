import { Writable } from 'node:stream';

const lengthOf = nativeGetter<number>('writableLength');
const needsDrain = nativeGetter<boolean>('writableNeedDrain');

/** What `writableLength` would say of Node's own queue (of a Duplex too), the chunk being written included. */
export function nativeWritableLength(stream: Writable): number {
  return lengthOf.call(stream);
}

export function nativeWritableNeedDrain(stream: Writable): boolean {
  return needsDrain.call(stream);
}

/** Has Node emit 'drain' once its own queue is empty, as after a `write()` that it has answered with `false` itself. */
export function promiseDrain(stream: Writable): void {
  (stream as Writable & { _writableState: { needDrain: boolean } })._writableState.needDrain = true;
}

/** Both streams tell the truth of what they hold, which Node's own getters do not know. */
export function defineWritableGetters<S extends Writable>(
  prototype: S,
  getters: {
    writableLength: (stream: S) => number;
    writableHighWaterMark: (stream: S) => number;
    writableNeedDrain: (stream: S) => boolean;
  },
): void {
  // Node's types declare these as properties, so that a class cannot override them with accessors.
  for (const [name, read] of Object.entries(getters)) {
    Object.defineProperty(prototype, name, {
      get(this: S) {
        return read(this);
      },
      configurable: true,
    });
  }
}

function nativeGetter<V>(name: keyof Writable): (this: Writable) => V {
  return (Object.getOwnPropertyDescriptor(Writable.prototype, name) as { get: () => V }).get;
}
