/** Spans of flushes: one for each call of the flush function, active while it runs. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  context,
  isSpanContextValid,
  SpanStatusCode,
  trace,
  type Attributes,
  type Link,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import type { SignalMessages } from '../api/signals.js';
import { errorClassOf } from '../common/thrown.js';

type FlushMessage = SignalMessages['spillway:flush'];

/** How the flushes of a target are traced. */
export interface Traced {
  readonly tracer: Tracer;
  readonly name: string;
  readonly spanContextOf: ((item: never) => SpanContext | undefined) | undefined;
}

/** What an SDK keeps of a span by default. */
const MOST_LINKS = 128;

const START = 'tracing:spillway:flush:start';
const END = 'tracing:spillway:flush:asyncEnd';
const targets = new Map<object, Traced>();
/** Of calls under way, by message. */
const spans = new Map<object, Span>();

/** Traces the flushes of a target, until the returned function is called. A call under way has its span ended all the same. */
export function traceFlushes(target: object, traced: Traced): () => void {
  if (targets.size === 0) {
    subscribe(START, onStart);
    if (spans.size === 0) subscribe(END, onEnd);
  }
  targets.set(target, traced);
  return () => {
    if (!targets.delete(target) || targets.size > 0) return;
    unsubscribe(START, onStart);
    if (spans.size === 0) unsubscribe(END, onEnd);
  };
}

function onStart(started: unknown): void {
  const message = started as FlushMessage;
  const traced = targets.get(message.target);
  if (traced === undefined) return;
  const { tracer, name, spanContextOf } = traced;
  const attributes = {
    'spillway.name': name,
    'spillway.batch.size': message.items.length,
    'spillway.flush.attempt': message.attempt,
    'spillway.flush.reason': message.reason,
    ...attributesOfLog(message),
  };
  const links = spanContextOf === undefined ? [] : linksOf(message.items, spanContextOf);
  const active = context.active();
  const span = tracer.startSpan(`flush ${name}`, { attributes, links }, active);
  spans.set(message, span);
  // By the API, not by a store that is bound to the channel: OpenTelemetry hides the one in which it keeps the active context.
  const around = (call: () => void): void => context.with(trace.setSpan(active, span), call);
  message.around = around;
}

/** By the conventions for messaging. What messages hold is not among them. */
function attributesOfLog({ lane, log, items }: FlushMessage): Attributes {
  if (lane === undefined) return {};
  const { log: system, stream, filter } = log ?? {};
  return {
    'spillway.lane': lane,
    'messaging.operation.type': 'process',
    'messaging.batch.message_count': items.length,
    ...(system === 'jetstream' && { 'messaging.system': 'nats' }),
    ...(typeof stream === 'string' && { 'messaging.destination.name': stream }),
    ...(typeof filter === 'string' && { 'messaging.destination.template': filter }),
  };
}

/** To where the items come from: each place once. */
function linksOf(items: readonly unknown[], spanContextOf: NonNullable<Traced['spanContextOf']>): Link[] {
  const links = new Map<string, Link>();
  for (const item of items) {
    let from: SpanContext | undefined;
    try {
      from = spanContextOf(item as never);
    } catch {
      // That an item cannot be traced is no reason to fail.
    }
    if (from === undefined || !isSpanContextValid(from)) continue;
    links.set(`${from.traceId} ${from.spanId}`, { context: from });
    if (links.size >= MOST_LINKS) break;
  }
  return [...links.values()];
}

function onEnd(message: unknown): void {
  const { result, error } = message as FlushMessage;
  const span = spans.get(message as FlushMessage);
  if (span === undefined) return;
  spans.delete(message as FlushMessage);
  if (targets.size === 0 && spans.size === 0) unsubscribe(END, onEnd);
  if (result !== undefined)
    span.setAttributes({ 'spillway.flush.success': result.success, 'spillway.flush.failed': result.failed });
  if (error !== undefined) {
    span.setAttribute('error.type', errorClassOf(error));
    span.recordException(error);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  }
  span.end();
}
