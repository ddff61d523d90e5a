/** What the soak's service, its load and its checks tell one another. */

import type { SinkMetrics } from '../../src/index.js';

/** `id` is unique over both sinks. A bad event has a value that its column refuses. */
export interface SoakEvent {
  id: number;
  at: string;
  name: string;
  value: number | string;
  tags: { host: string; path: string };
}

/** `push`: a controller, into a table without a key. `stream`: a `Writable`, into one with a key, by `onConflict: 'ignore'`. */
export const SINK_NAMES = ['push', 'stream'] as const;
export type SinkName = (typeof SINK_NAMES)[number];

export const TABLES: Readonly<Record<SinkName, string>> = { push: 'events', stream: 'events_keyed' };

/** How the service is started: JSON, as its only argument. */
export interface ServiceConfig {
  databaseUrl: string;
  /** Where it notes failed items and its end, a line each, as JSON. */
  notes: string;
  maxBufferSize: number;
  maxBufferBytes: number;
  flushTimeoutMs: number;
  abortGraceMs: number;
  drainTimeoutMs: number;
}

/** What the service counts by itself, beside the metrics of the same instant. */
export interface SinkSample {
  metrics: SinkMetrics;
  limits: Pick<ServiceConfig, 'maxBufferSize' | 'maxBufferBytes'>;
  /** Milliseconds since the sink was made. */
  ageMs: number;
  offered: number;
  flushed: number;
  failed: number;
  dropped: number;
  /** Items without an outcome, and milliseconds since the oldest of them was offered. */
  open: number;
  oldestOpenMs: number;
  /** When calls have delivered something since the last sample, as `Date.now()` counts. */
  deliveries: number[];
}

export interface Sample {
  rssBytes: number;
  sinks: Record<SinkName, SinkSample>;
}

export type Note =
  | { kind: 'failed'; id: number; ambiguous: boolean; reason: string }
  | { kind: 'end'; undelivered: number; errors: string[]; sinks: Record<SinkName, SinkSample> };
