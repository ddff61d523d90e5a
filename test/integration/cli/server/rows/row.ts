/**
 * Connection strings and sets of variables, and what becomes of each.
 *
 * Words in braces are filled in by the test: {port} and {pw} of the main server (TLS, PostgreSQL 18), {second} of a read-only one without
 * TLS, {standby} of a standby, {closed} of a port where nobody listens, {tls} and {home} and {sock}: folders.
 */

export interface Row {
  /** `undefined`: the variables alone. */
  text?: string;
  env?: Record<string, string>;
  /**
   * - `same`: reaches what psql reaches, with the same session
   * - `neither`: psql fails, and Spillway fails with this message
   * - `refused`: refused by name, whatever psql does
   * - `newer`: a setting that the compared psql may be too old for; the session is as told
   */
  then: { same: true } | { neither: RegExp } | { refused: RegExp } | { newer: Record<string, string> };
  title?: string;
  /** The first version of the server that can do it. */
  since?: number;
}

export const same = { same: true } as const;

/** A role of the main server. */
export const at = 'host=127.0.0.1 port={port} user=alice password=al1ce';
