/** `spillway/report`, and `spillway/opentelemetry` with the SDK of its users. */

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from 'spillway';
import { instrument } from 'spillway/opentelemetry';
import { createReport } from 'spillway/report';
import { runChecks } from './run-checks.js';

const numbers = Array.from({ length: 1000 }, (_, index) => index);

void runChecks({
  async 'metrics and spans of a pipeline'() {
    const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter: metrics });
    const meterProvider = new MeterProvider({ readers: [reader] });
    const spans = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
    const sink = new BackpressureWritable<number>(async () => undefined, { batchSize: 100 });
    instrument(sink, { name: 'events', meterProvider, tracerProvider });
    await pipeline(Readable.from(numbers), sink);
    await reader.forceFlush();
    const points = metrics
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
    const items = points.find(({ descriptor }) => descriptor.name === 'spillway.items');
    assert.deepEqual(
      items?.dataPoints
        .map(({ value, attributes }) => [attributes['spillway.outcome'], value])
        .filter(([, value]) => value !== 0),
      [['flushed', 1000]],
    );
    assert.equal(spans.getFinishedSpans().length, sink.getMetrics().flushes);
    assert.equal(spans.getFinishedSpans()[0]?.name, 'flush events');
    await meterProvider.shutdown();
    await tracerProvider.shutdown();
  },

  async 'a report of a pipeline is a page of HTML'() {
    const transform = new BackpressureTransform<number>();
    const sink = new BackpressureWritable<number>(async () => undefined);
    const reports = [createReport(transform), createReport(sink, { title: 'Numbers <1>', intervalMs: 10 })];
    await pipeline(Readable.from(numbers), transform, sink);
    for (const report of reports)
      assert.match(report.toHtml(), /^<!doctype html>[\s\S]*<svg[\s\S]*<\/html>\s*$/i);
    assert.match(reports[1]!.toHtml(), /Numbers &lt;1>|Numbers &lt;1&gt;/);
  },

  async 'a report of a controller shows what failed'() {
    const controller = new BackpressureController<number>(
      () => Promise.reject(new RangeError('out of range')),
      {
        onFailed: () => undefined,
      },
    );
    const report = createReport(controller);
    controller.start();
    for (const n of numbers) controller.tryPush(n);
    await controller.drain();
    report.stop();
    controller.stop();
    assert.match(report.toHtml(), /out of range/);
  },
});
