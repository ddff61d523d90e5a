import { AggregationTemporality, MeterProvider } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/common/clock.js';
import { instrument } from '../../../src/opentelemetry/index.js';
import { emptyCounts, snapshot } from '../../../src/postgres/consume/consume-metrics.js';
import type { ConsumeProgress } from '../../../src/postgres/consume/consume-progress.js';
import { ConsumeObserver } from '../../../src/postgres/consume/consume-observer.js';
import type { LogMessage } from '../../../src/log/log.js';
import { TestReader } from '../../support/test-reader.js';

/** What `consumeLog` returns, as far as it is instrumented. */
class Load extends EventEmitter {
  readonly counts = emptyCounts();
  answer: () => Promise<ConsumeProgress> = () => Promise.reject(new Error('not open yet'));
  end!: () => void;
  readonly finished = new Promise<void>((resolve) => (this.end = resolve));
  getMetrics = () => snapshot(this.counts, systemClock);
  progress = (): Promise<ConsumeProgress> => this.answer();
}

const at = (lagMessages: number, lagMs: number, agoMs = 0): (() => Promise<ConsumeProgress>) => {
  const progress = { at: new Date(Date.now() - agoMs), lagMessages, lagMs } as ConsumeProgress;
  return () => Promise.resolve(progress);
};

let reader: TestReader;
let meterProvider: MeterProvider;
beforeEach(() => {
  reader = new TestReader();
  meterProvider = new MeterProvider({ readers: [reader] });
});
const valueOf = async (name: string): Promise<number | undefined> =>
  (await reader.values()).get(`${name} spillway.name=log`);

describe('the lag of a log', () => {
  it('is not reported before the log is open, and then looked up at each collection', async () => {
    const load = new Load();
    instrument(load, { name: 'log', meterProvider, spans: false });
    expect(await valueOf('spillway.lag.messages')).toBeUndefined();
    load.answer = at(12, 0);
    expect(await valueOf('spillway.lag.messages')).toBe(12);
    load.answer = at(0, 0);
    expect(await valueOf('spillway.lag.messages')).toBe(0);
    expect(await valueOf('spillway.lag.time')).toBe(0);
  });

  it('is that of the log that is furthest behind, if several have one name', async () => {
    for (const lag of [3, 8, 5]) {
      const load = new Load();
      load.answer = at(lag, 0);
      instrument(load, { name: 'log', meterProvider, spans: false });
    }
    expect(await valueOf('spillway.lag.messages')).toBe(8);
  });

  it('grows during an outage, in which nobody is asked', async () => {
    const load = new Load();
    instrument(load, { name: 'log', meterProvider, spans: false });
    load.answer = at(5, 2_000, 60_000);
    await reader.values();
    load.answer = () => Promise.reject(new Error('asked'));
    load.counts.outages.add({ of: 'database', since: 0, retryNow: () => undefined });
    expect(await valueOf('spillway.lag.messages')).toBe(5);
    expect(await valueOf('spillway.lag.time')).toBeGreaterThanOrEqual(62);
  });

  it('is not known any more when its worker has ended, until the next one of that name knows it', async () => {
    const load = new Load();
    instrument(load, { name: 'log', meterProvider, spans: false });
    load.answer = at(5, 2_000);
    await reader.values();
    load.end();
    await load.finished;
    // The SDK repeats it.
    for (let collection = 0; collection < 3; collection += 1) {
      expect(await valueOf('spillway.lag.messages')).toBeNaN();
      expect(await valueOf('spillway.lag.time')).toBeNaN();
    }
    const next = new Load();
    instrument(next, { name: 'log', meterProvider, spans: false });
    expect(await valueOf('spillway.lag.messages')).toBeNaN();
    next.answer = at(9, 0);
    expect(await valueOf('spillway.lag.messages')).toBe(9);
  });

  it('vanishes after its worker has ended where the SDK leaves out what is not observed', async () => {
    const delta = new TestReader({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA });
    const load = new Load();
    instrument(load, { name: 'log', meterProvider: new MeterProvider({ readers: [delta] }), spans: false });
    load.answer = at(5, 2_000);
    const lags = [];
    for (let collection = 0; collection < 3; collection += 1) {
      lags.push((await delta.values()).get('spillway.lag.messages spillway.name=log'));
      load.end();
      await load.finished;
    }
    expect(lags).toEqual([5, NaN, undefined]);
  });
});

describe('the metrics of a log', () => {
  it('have what is queued and in flight, and a failure that ended it', async () => {
    const load = new Load();
    instrument(load, { name: 'log', meterProvider, spans: false });
    Object.assign(load.counts, {
      messagesQueued: 30,
      messagesInFlight: 20,
      bytesHeld: 500,
      roomMessages: 100,
      roomBytes: 600,
      isFailed: true,
    });
    const values = await reader.values();
    const found = ['queue.size', 'in_flight', 'queue.bytes', 'failed'].map((name) =>
      values.get(`spillway.${name} spillway.name=log`),
    );
    expect(found).toEqual([30, 20, 500, 1]);
    expect(values.get('spillway.queue.utilization spillway.name=log')).toBeCloseTo(5 / 6);
  });
});

it('the span of a batch of a log has its lane and the names of its stream, and nothing of its messages', () => {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const load = new Load();
  const observer = new ConsumeObserver(load);
  observer.source = { log: 'jetstream', stream: 'ORDERS', filter: 'orders.>', laneSize: 100 };
  const attachment = instrument(load, { name: 'log', meterProvider, tracerProvider });
  const message = { lane: 3, position: 301, subject: 'orders.secret' } as LogMessage;
  const trace = observer.traceFlush({ items: [message], lane: 3, attempt: 1, reason: 'size' })!;
  trace.run(() => undefined);
  trace.end({
    ...{ attempt: 1, reason: 'size', items: 1, success: 1, failed: 0, latencyMs: 1 },
    ...{ transportFailure: false, error: undefined },
  });
  attachment.detach();
  expect(exporter.getFinishedSpans().map(({ attributes }) => attributes)).toEqual([
    {
      'spillway.name': 'log',
      'spillway.batch.size': 1,
      'spillway.flush.attempt': 1,
      'spillway.flush.reason': 'size',
      'spillway.flush.success': 1,
      'spillway.flush.failed': 0,
      'spillway.lane': 3,
      'messaging.system': 'nats',
      'messaging.operation.type': 'process',
      'messaging.batch.message_count': 1,
      'messaging.destination.name': 'ORDERS',
      'messaging.destination.template': 'orders.>',
    },
  ]);
  expect(observer.traceFlush({ items: [message], lane: 3, attempt: 1, reason: 'size' })).toBeUndefined();
});
