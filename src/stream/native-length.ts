import { Writable } from 'node:stream';

const { get } = Object.getOwnPropertyDescriptor(Writable.prototype, 'writableLength') as {
  get: () => number;
};

/** What `writableLength` would say of Node's own queue (of a Duplex too), the chunk being written included. */
export function nativeWritableLength(stream: Writable): number {
  return get.call(stream);
}

/** Both streams tell the truth of what they hold, which Node's own getters do not know. */
export function defineWritableGetters<S extends Writable>(
  prototype: S,
  getters: { writableLength: (stream: S) => number; writableHighWaterMark: (stream: S) => number },
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
