import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { context, SpanStatusCode, trace, type SpanContext } from '@opentelemetry/api';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { instrument, type InstrumentOptions } from '../../../src/opentelemetry/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { turn } from '../../support/stream.js';
import { TestReader } from '../../support/test-reader.js';

let reader: TestReader;
let meterProvider: MeterProvider;
beforeEach(() => {
  reader = new TestReader();
  meterProvider = new MeterProvider({ readers: [reader] });
});

const collect = (): Promise<Map<string, number>> => reader.values();

const named = (name: string, attributes: Record<string, string> = {}): string => {
  const labels = Object.entries({ ...attributes, 'spillway.name': 'events' }).map(
    ([key, value]) => `${key}=${value}`,
  );
  return [name, ...labels.sort()].join(' ');
};
const items = (outcome: string, reason?: string) =>
  named('spillway.items', {
    'spillway.outcome': outcome,
    ...(reason !== undefined && { 'spillway.reason': reason }),
  });

describe('metrics', () => {
  it('of a sink are those of getMetrics()', async () => {
    const clock = new ManualClock();
    let open: (() => void) | undefined;
    const flush = () => new Promise<void>((resolve) => (open = resolve));
    const sink = new BackpressureWritable<string>(flush, {
      clock,
      strategy: 'drop_newest',
      maxBufferSize: 10,
      batchSize: 4,
      sizeOf: (text) => text.length,
    });
    instrument(sink, { name: 'events', meterProvider });
    for (let item = 0; item < 14; item += 1) sink.write('abc');
    await turn();
    await clock.advance(2_000);
    const values = await collect();
    const metrics = sink.getMetrics();
    expect(metrics.inFlight).toBe(4);
    expect(Object.fromEntries(values)).toMatchObject({
      [named('spillway.offered')]: 14,
      [items('flushed')]: 0,
      [items('dropped', 'rejected')]: metrics.dropsByReason.rejected,
      [items('failed', 'handled')]: 0,
      [named('spillway.queue.size')]: metrics.bufferSize,
      [named('spillway.queue.bytes')]: metrics.bufferSize * 3,
      [named('spillway.in_flight')]: 4,
      [named('spillway.waiting')]: 0,
      [named('spillway.queue.utilization')]: 1,
      [named('spillway.oldest_item.age')]: 2,
      [named('spillway.state', { 'spillway.state': 'blocked' })]: 1,
      [named('spillway.state', { 'spillway.state': 'normal' })]: 0,
      [named('spillway.breaker', { 'spillway.breaker.state': 'closed' })]: 1,
      [named('spillway.failed')]: 0,
    });
    const end = new Promise((resolve) => sink.once('close', resolve));
    sink.on('error', () => undefined).destroy();
    open!();
    await end;
    expect((await collect()).get(named('spillway.failed'))).toBe(1);
  });

  it('count each item once: offered items are open or settled', async () => {
    const sink = new BackpressureWritable<number>(
      async (batch) => {
        if (batch.includes(3)) throw new Error('bad');
      },
      { batchSize: 1, onFailed: () => undefined },
    );
    instrument(sink, { name: 'events', meterProvider });
    for (const item of [1, 2, 3, 4]) sink.write(item);
    await sink.flush();
    const values = await collect();
    expect(values.get(items('flushed'))).toBe(3);
    expect(values.get(items('failed', 'handled'))).toBe(1);
    const settled = [...values].filter(([key]) => key.startsWith('spillway.items '));
    expect(settled.reduce((sum, [, value]) => sum + value, 0)).toBe(values.get(named('spillway.offered')));
    expect(values.get(named('spillway.flush.duration'))).toBe(3);
    expect(values.get(named('spillway.flush.duration', { 'error.type': 'Error' }))).toBe(1);
    expect(values.get(named('spillway.batch.size'))).toBe(4);
    sink.destroy();
  });

  it('of a transform and of a controller are reported, too', async () => {
    const transform = new BackpressureTransform<number>();
    const controller = new BackpressureController<number>(async () => undefined);
    controller.start();
    instrument(transform, { name: 'stage', meterProvider });
    instrument(controller, { name: 'events', meterProvider });
    transform.write(1);
    await controller.push(1);
    await controller.flush();
    const values = await collect();
    expect(values.get('spillway.queue.size spillway.name=stage')).toBe(1);
    expect(values.has('spillway.retries spillway.name=stage')).toBe(false);
    expect(values.get(items('flushed'))).toBe(1);
    controller.stop();
    transform.destroy();
  });

  it('of the load of a log are reported, and its outages as an open breaker', async () => {
    const metrics = {
      messagesRead: 10, bytesRead: 100, rowsLoaded: 6, deadLetters: 1, deadLettersCopied: 0, batches: 2, lanesHeld: 2, lanesFinished: 0, lanesLost: 0,
      positionsLost: 3, messagesQueued: 2, messagesInFlight: 1, bytesHeld: 30, roomUtilization: 0.1, isFailed: false,
      retries: 4, lastError: undefined, waitingFor: 'database' as const, waitingSince: new Date(),
    }; // prettier-ignore
    let end!: () => void;
    const finished = new Promise<void>((resolve) => (end = resolve));
    const load = { getMetrics: () => metrics, finished };
    instrument(load, { name: 'events', meterProvider });
    expect(Object.fromEntries(await collect())).toMatchObject({
      [named('spillway.offered')]: 10,
      [items('flushed')]: 6,
      [items('failed', 'dead_letter')]: 1,
      [items('dropped', 'lost')]: 3,
      [named('spillway.retries')]: 4,
      [named('spillway.lanes')]: 2,
      [named('spillway.breaker', { 'spillway.breaker.state': 'open' })]: 1,
    });
    end();
    await turn();
    const after = await collect();
    expect(after.get(items('flushed'))).toBe(6);
    expect(after.get(named('spillway.lanes'))).toBe(0);
  });

  it('are read once for each collection', async () => {
    const sink = new BackpressureWritable<number>(async () => undefined);
    const read = vi.spyOn(sink, 'getMetrics');
    instrument(sink, { name: 'events', meterProvider });
    await collect();
    expect(read).toHaveBeenCalledTimes(1);
    await collect();
    expect(read).toHaveBeenCalledTimes(2);
    sink.destroy();
  });
});

describe('targets of one name', () => {
  const makeSink = () => new BackpressureWritable<number>(async () => undefined);

  it('are reported as their sum', async () => {
    const sinks = [makeSink(), makeSink()];
    for (const sink of sinks) instrument(sink, { name: 'events', meterProvider });
    for (const sink of sinks) sink.write(1);
    const values = await collect();
    expect(values.get(named('spillway.offered'))).toBe(2);
    expect(values.get(named('spillway.state', { 'spillway.state': 'normal' }))).toBe(2);
    for (const sink of sinks) await sink.flush().then(() => sink.destroy());
  });

  it('go on counting where one that has ended left off', async () => {
    const first = makeSink();
    instrument(first, { name: 'events', meterProvider });
    first.end(1);
    await once(first, 'close');
    const between = await collect();
    expect(between.get(items('flushed'))).toBe(1);
    expect(between.get(named('spillway.state', { 'spillway.state': 'normal' }))).toBe(0);
    const second = makeSink();
    instrument(second, { name: 'events', meterProvider });
    second.write(2);
    second.end(3);
    await once(second, 'close');
    expect((await collect()).get(items('flushed'))).toBe(3);
  });

  it('leave their counts, and nothing open, once they are detached', async () => {
    const sinks = [makeSink(), makeSink()];
    const attachments = sinks.map((sink) => instrument(sink, { name: 'events', meterProvider }));
    sinks[0]!.write(1);
    attachments[0]!.detach();
    attachments[0]!.detach();
    expect((await collect()).get(named('spillway.offered'))).toBe(1);
    expect((await collect()).get(named('spillway.queue.size'))).toBe(0);
    sinks[1]!.write(1);
    expect((await collect()).get(named('spillway.queue.size'))).toBe(1);
    attachments[1]!.detach();
    sinks[1]!.write(2);
    const values = await collect();
    expect(values.get(named('spillway.offered'))).toBe(2);
    expect(values.get(named('spillway.queue.size'))).toBe(0);
    expect(values.get(named('spillway.state', { 'spillway.state': 'normal' }))).toBe(0);
    for (const sink of sinks) {
      expect(sink.listenerCount('flush')).toBe(0);
      await sink.flush();
      sink.destroy();
    }
  });

  it('may be instrumented again after they were detached', async () => {
    const sink = makeSink();
    instrument(sink, { name: 'events', meterProvider }).detach();
    instrument(sink, { name: 'events', meterProvider });
    expect(() => instrument(sink, { name: 'other', meterProvider })).toThrow(/instrumented already/);
    sink.destroy();
    await once(sink, 'close');
  });
});

describe('spans', () => {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const manager = new AsyncLocalStorageContextManager().enable();
  beforeEach(() => void context.setGlobalContextManager(manager));
  afterEach(() => {
    context.disable();
    exporter.reset();
  });
  const attach = <T>(sink: BackpressureWritable<T>, more?: Partial<InstrumentOptions<T>>) =>
    instrument<T>(sink, { name: 'events', meterProvider, tracerProvider, ...more });

  it('cover each call, with what has become of it', async () => {
    const clock = new ManualClock();
    const outcomes = [Object.assign(new Error('down'), { code: 'ECONNREFUSED' }), undefined];
    const flush = async () => {
      const error = outcomes.shift();
      if (error !== undefined) throw error;
    };
    const sink = new BackpressureWritable<number>(flush, { clock, retry: { attempts: 2 } });
    const attachment = attach(sink);
    sink.write(1);
    sink.write(2);
    const flushed = sink.flush();
    await turn();
    await clock.advance(60_000);
    await flushed;
    const [failed, succeeded] = exporter.getFinishedSpans();
    expect(failed).toMatchObject({
      name: 'flush events',
      status: { code: SpanStatusCode.ERROR, message: 'down' },
      attributes: {
        'spillway.name': 'events',
        'spillway.batch.size': 2,
        'spillway.flush.attempt': 1,
        'spillway.flush.failed': 2,
        'error.type': 'ECONNREFUSED',
      },
    });
    expect(succeeded).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: { 'spillway.flush.attempt': 2, 'spillway.flush.success': 2 },
    });
    attachment.detach();
    sink.write(3);
    await sink.flush();
    expect(exporter.getFinishedSpans()).toHaveLength(2);
    sink.destroy();
  });

  it('are active while the flush function runs', async () => {
    const tracer = tracerProvider.getTracer('test');
    const sink = new BackpressureWritable<number>(async () => {
      await turn();
      tracer.startSpan('insert').end();
    });
    attach(sink);
    sink.end(1);
    await once(sink, 'close');
    const [insert, flush] = exporter.getFinishedSpans();
    expect(flush!.name).toBe('flush events');
    expect(insert!.parentSpanContext?.spanId).toBe(flush!.spanContext().spanId);
    expect(trace.getActiveSpan()).toBeUndefined();
  });

  it('have a link to where each item comes from', async () => {
    interface Order {
      id: number;
      from?: SpanContext;
    }
    const tracer = tracerProvider.getTracer('test');
    const requests = [tracer.startSpan('request'), tracer.startSpan('request')];
    const sink = new BackpressureWritable<Order>(async () => undefined);
    attach(sink, {
      spanContextOf: (order) => {
        if (order.id === 4) throw new Error('no context');
        return order.from;
      },
    });
    const [first, second] = requests.map((span) => span.spanContext()) as [SpanContext, SpanContext];
    sink.write({ id: 1, from: first });
    sink.write({ id: 2, from: first });
    sink.write({ id: 3, from: second });
    sink.write({ id: 4 });
    sink.end({ id: 5 });
    await once(sink, 'close');
    const [span] = exporter.getFinishedSpans();
    expect(span!.links.map(({ context: { spanId } }) => spanId)).toEqual([first.spanId, second.spanId]);
  });

  it('are not made of other sinks, nor with spans: false', async () => {
    const sinks = [1, 2, 3].map(() => new BackpressureWritable<number>(async () => undefined));
    attach(sinks[0]!);
    attach(sinks[1]!, { spans: false });
    for (const sink of sinks) {
      sink.end(1);
      await once(sink, 'close');
    }
    expect(exporter.getFinishedSpans()).toHaveLength(1);
  });
});

describe('wrong use is refused', () => {
  const sink = new BackpressureWritable<number>(async () => undefined);
  const cases: [what: string, target: unknown, options: unknown, message: RegExp][] = [
    ['no target', undefined, { name: 'a' }, /target/],
    ['a plain object', {}, { name: 'a' }, /target/],
    ['no options', sink, undefined, /options/],
    ['no name', sink, {}, /name/],
    ['an empty name', sink, { name: '' }, /name/],
    ['an unknown option', sink, { name: 'a', links: true }, /links/],
    ['spans that are no boolean', sink, { name: 'a', spans: 'yes' }, /spans/],
    ['an async function', sink, { name: 'a', spanContextOf: async () => undefined }, /spanContextOf/],
  ];
  it.each(cases)('%s', (_what, target, options, message) => {
    expect(() => instrument(target as typeof sink, options as { name: string })).toThrow(message);
  });

  it('and leaves nothing behind', () => {
    expect(sink.eventNames()).toEqual([]);
  });
});
