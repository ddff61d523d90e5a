/** Ends a connection with an error if a message comes that the active query has no use for. */

import { ProtocolFault } from './protocol-fault.js';

interface Connection {
  readonly stream: { destroy: (error: Error) => unknown };
}

const NOTHING_HANDLED = {
  handleRowDescription: 'RowDescription',
  handleDataRow: 'DataRow',
  handlePortalSuspended: 'PortalSuspended',
  handleEmptyQuery: 'EmptyQueryResponse',
  handleCopyInResponse: 'CopyInResponse',
  handleCopyData: 'CopyData',
} as const;

/** Gives a query the methods that it lacks. Without them a message for one would throw in the socket's handler. */
export function refuseUnexpected(query: object, connectionOf: () => Connection | null | undefined): void {
  const target = query as Record<string, unknown>;
  for (const [method, message] of Object.entries(NOTHING_HANDLED)) {
    const refuse = () => connectionOf()?.stream.destroy(unexpected(message));
    target[method] ??= refuse;
  }
}

export function unexpected(message: string): ProtocolFault {
  return new ProtocolFault(`${message} that nothing had asked for`);
}
