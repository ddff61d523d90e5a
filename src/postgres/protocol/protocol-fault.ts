/** The error of a server that breaks the protocol. The connection cannot be used after it. */

export class ProtocolFault extends Error {
  override readonly name = 'ProtocolFault';
  /** Classified as `transport`: another connection may do better. */
  readonly code = 'ERR_BACKPRESSURE_PROTOCOL';

  constructor(what: string) {
    super(`the server broke the protocol: ${what}`);
  }
}
