import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { instrument } from '../../../src/opentelemetry/index.js';
import { turn } from '../../support/stream.js';
import { TestReader } from '../../support/test-reader.js';

const OFFERED = 'spillway.offered spillway.name=events';

describe('a target that has ended or is detached', () => {
  const isTraced = () => channel('tracing:spillway:flush:start').hasSubscribers;

  it('is let go with all that listened to it', async () => {
    const sink = new BackpressureWritable<number>(async () => undefined);
    instrument(sink, { name: 'events' });
    expect(isTraced()).toBe(true);
    sink.end(1);
    await once(sink, 'close');
    expect(isTraced()).toBe(false);
    expect(sink.listenerCount('flush') + sink.listenerCount('close')).toBe(0);
  });

  it('has the span of a call under way ended, and nothing listens after it', async () => {
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    let settle!: () => void;
    const sink = new BackpressureWritable<number>(() => new Promise<void>((resolve) => (settle = resolve)));
    const attachment = instrument(sink, { name: 'events', tracerProvider });
    sink.write(1);
    const flushed = sink.flush();
    await turn();
    attachment.detach();
    settle();
    await flushed;
    expect(exporter.getFinishedSpans()).toHaveLength(1);
    expect(channel('tracing:spillway:flush:asyncEnd').hasSubscribers).toBe(false);
    sink.destroy();
  });

  it.each([
    ['writable', () => new BackpressureWritable<number>(async () => undefined)],
    ['transform', () => new BackpressureTransform<number>().resume()],
  ])(
    'is let go at once if it is a %s that was closed before, and its counts are reported',
    async (_, make) => {
      const reader = new TestReader();
      const meterProvider = new MeterProvider({ readers: [reader] });
      const stream = make();
      stream.end(1);
      await once(stream, 'close');
      instrument(stream, { name: 'events', meterProvider });
      expect(isTraced()).toBe(false);
      expect(stream.listenerCount('flush') + stream.listenerCount('close')).toBe(0);
      expect((await reader.values()).get(OFFERED)).toBe(1);
    },
  );

  it('may be instrumented again, and is not let go by what was detached before', async () => {
    const sink = new BackpressureWritable<number>(async () => undefined);
    const first = instrument(sink, { name: 'events' });
    first.detach();
    const second = instrument(sink, { name: 'events' });
    first.detach();
    expect(isTraced()).toBe(true);
    second.detach();
    expect(isTraced()).toBe(false);
    sink.destroy();
  });

  it('has its items counted once if it is instrumented again', async () => {
    const reader = new TestReader();
    const meterProvider = new MeterProvider({ readers: [reader] });
    const controller = new BackpressureController<number>(async () => undefined);
    for (const expected of [1, 2, 3]) {
      const attachment = instrument(controller, { name: 'events', meterProvider });
      await controller.push(expected);
      expect((await reader.values()).get(OFFERED)).toBe(expected);
      attachment.detach();
      expect((await reader.values()).get(OFFERED)).toBe(expected);
    }
    controller.stop();
  });
});
