import {
  metrics,
  trace,
  type MeterProvider,
  type SpanContext,
  type TracerProvider,
} from '@opentelemetry/api';
import type { FlushReport } from '../api/events.js';
import { InvalidOptionError } from '../api/errors.js';
import { checkBoolean, checkNames, checkSynchronous, optional, refuse } from '../guards/validate.js';
import { traceFlushes } from './flush-spans.js';
import { groupOf, SCOPE, type MetricGroup } from './metric-group.js';
import type { AnyMetrics } from './readings.js';

/** A stream, a controller, or what `consumeLog` returns. */
export interface Instrumentable<T = unknown> {
  getMetrics(): AnyMetrics;
  takeUnsettled?(): T[];
}

export interface InstrumentOptions<T = unknown> {
  /** What it is called in metrics and spans: one of few names. Targets of the same name are reported as one. */
  name: string;
  /** Default: the global one, which must be there before the call. */
  meterProvider?: MeterProvider | undefined;
  /** Default: the global one. */
  tracerProvider?: TracerProvider | undefined;
  /** Makes a span for each call of the flush function. Default `true`. */
  spans?: boolean | undefined;
  /** Returns where an item comes from: the span of a flush gets a link to it. Called for the items of a batch when its flush begins. */
  spanContextOf?: ((item: T) => SpanContext | undefined) | undefined;
}

export interface Instrumentation {
  /** Ends the reports about the target: its counts stay as they are, and what it holds counts as 0. */
  detach(): void;
}

/** All names. A test compares the table in `README.md` with them. */
export const INSTRUMENT_OPTIONS: ReadonlySet<string> = new Set([
  'name',
  'meterProvider',
  'tracerProvider',
  'spans',
  'spanContextOf',
] satisfies (keyof InstrumentOptions)[]);

const attached = new WeakSet<object>();

/** What a target may have beside its metrics. */
interface Observable {
  on?(event: 'flush' | 'close', listener: (report: FlushReport) => void): unknown;
  off?(event: 'flush' | 'close', listener: (report: FlushReport) => void): unknown;
  finished?: Promise<void>;
  /** Of a stream: there is no 'close' to come. */
  closed?: boolean;
}

/**
 * Reports a stream, a controller or the load of a log to OpenTelemetry: metrics, and a span for each call of the flush function.
 *
 * Metrics are read when they are collected, and at each flush; an item costs nothing. When a stream or a load has ended, its counts stay, and
 * the next one of that name goes on from there.
 *
 * @throws InvalidOptionError for a wrong option, and for a target that is instrumented already
 */
export function instrument<T>(target: Instrumentable<T>, options: InstrumentOptions<T>): Instrumentation {
  checkTarget(target);
  if (typeof options !== 'object' || (options as unknown) === null)
    refuse('options', "an object with 'name'", options);
  checkNames(options, INSTRUMENT_OPTIONS, 'instrument');
  const { name, meterProvider = metrics.getMeterProvider(), tracerProvider = trace } = options;
  if (typeof name !== 'string' || name === '') refuse('name', 'a text', name);
  const spans = checkBoolean('spans', options.spans ?? true);
  const spanContextOf = optional('spanContextOf', options.spanContextOf, checkSynchronous);
  let isAttached = true;
  const detach = (): void => {
    if (!isAttached) return;
    isAttached = false;
    attached.delete(target);
    stopTracing?.();
    stopMeasuring();
  };
  const stopMeasuring = measure(target, groupOf(meterProvider, name), detach);
  attached.add(target);
  const tracer = tracerProvider.getTracer(SCOPE);
  const stopTracing = spans ? traceFlushes(target, { tracer, name, spanContextOf }) : undefined;
  if ((target as Observable).closed === true) detach();
  return { detach };
}

function checkTarget(target: unknown): asserts target is Instrumentable {
  if (typeof (target as Partial<Instrumentable> | null | undefined)?.getMetrics !== 'function')
    refuse('target', 'a stream or controller of Spillway, or what consumeLog() returns', target);
  if (attached.has(target as object))
    throw new InvalidOptionError('target', 'the target is instrumented already: detach() it first');
}

function measure(target: Instrumentable & Observable, group: MetricGroup, onEnd: () => void): () => void {
  const onFlush = (report: FlushReport): void => group.recordFlush(report);
  group.add(target);
  // A controller never ends: it may be started again.
  target.on?.('flush', onFlush);
  target.on?.('close', onEnd);
  target.finished?.then(onEnd, onEnd);
  return () => {
    target.off?.('flush', onFlush);
    target.off?.('close', onEnd);
    group.end(target);
  };
}
