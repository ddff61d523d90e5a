/** Ways to watch a sink. Each says at the end whether it has seen what has happened. */

import { fork, type ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import type { SignalMessages, SinkMetrics } from 'spillway';
import { instrument } from 'spillway/opentelemetry';
import { createReport, type Report, type ReportTarget } from 'spillway/report';

/** A stream or a controller. */
export interface Watched extends ReportTarget {
  getMetrics(): SinkMetrics;
}

/** One way. `start`, `attach` and `end` are called once for each run, in this order. */
export interface Watcher {
  readonly name: string;
  /** Not timed. */
  start(): Promise<void>;
  attach(sink: Watched): void;
  /** Not timed. Returns what is wrong with what was seen, if anything. */
  end(metrics: SinkMetrics): Promise<string | undefined>;
  /** After the last run. */
  close(): void;
}

export const PLAIN = 'nothing attached';
const NAME = 'watched';
/** A write loop without a destination makes more of them in a moment than the processor keeps by default. */
const MOST_SPANS = 65_536;

/** The first one is there twice: how far it is from itself shows what the machine does. */
export function watchers(): Watcher[] {
  return [
    nothing(PLAIN),
    nothing(`${PLAIN}, once more`),
    new Scraped(),
    new Spans(),
    new Reported(),
    new Subscribed(),
  ];
}

function nothing(name: string): Watcher {
  return {
    name,
    start: async () => undefined,
    attach: () => undefined,
    end: async () => undefined,
    close: () => undefined,
  };
}

const differs = (what: string, found: unknown, expected: unknown): string | undefined =>
  found === expected ? undefined : `${what}: ${String(found)} in place of ${String(expected)}`;

/** Metrics only, as Prometheus gets them. */
class Scraped implements Watcher {
  readonly name = 'metrics, scraped each second';
  readonly #scraper: ChildProcess = fork(fileURLToPath(new URL('./scraper.ts', import.meta.url)));
  #exporter!: PrometheusExporter;
  #provider!: MeterProvider;
  #server!: Server;
  #url = '';

  async start(): Promise<void> {
    this.#exporter = new PrometheusExporter({ preventServerStart: true });
    this.#provider = new MeterProvider({ readers: [this.#exporter] });
    this.#server = createServer((request, response) => {
      this.#exporter.getMetricsRequestHandler(request, response);
    }).listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/metrics`;
    this.#scraper.send(this.#url);
    // It has been scraped once, while there was nothing.
    await once(this.#scraper, 'message');
  }

  attach(sink: Watched): void {
    instrument(sink, { name: NAME, meterProvider: this.#provider, spans: false });
  }

  async end(metrics: SinkMetrics): Promise<string | undefined> {
    this.#scraper.send('');
    await once(this.#scraper, 'message');
    const text = await (await fetch(this.#url)).text();
    this.#server.closeAllConnections();
    this.#server.close();
    await this.#provider.shutdown();
    const valueOf = (start: string): number =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(start))
          ?.split(' ')
          .at(-1),
      );
    const label = `{spillway_name="${NAME}"`;
    return (
      differs('offered', valueOf(`spillway_offered_total${label}`), metrics.eventsOffered) ??
      differs(
        'flushed',
        valueOf(`spillway_items_total${label},spillway_outcome="flushed"`),
        metrics.eventsFlushed,
      ) ??
      differs('calls', valueOf(`spillway_flush_duration_count${label}`), metrics.flushes) ??
      differs('items of calls', valueOf(`spillway_batch_size_sum${label}`), metrics.eventsFlushed)
    );
  }

  close(): void {
    this.#scraper.disconnect();
  }
}

class Spans implements Watcher {
  readonly name = 'metrics and spans';
  #exporter!: InMemorySpanExporter;
  #processor!: BatchSpanProcessor;
  #meterProvider!: MeterProvider;

  async start(): Promise<void> {
    this.#exporter = new InMemorySpanExporter();
    this.#processor = new BatchSpanProcessor(this.#exporter, { maxQueueSize: MOST_SPANS });
    this.#meterProvider = new MeterProvider();
  }

  attach(sink: Watched): void {
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [this.#processor] });
    instrument(sink, { name: NAME, meterProvider: this.#meterProvider, tracerProvider });
  }

  async end(metrics: SinkMetrics): Promise<string | undefined> {
    await this.#processor.forceFlush();
    const spans = this.#exporter.getFinishedSpans();
    const items = spans.reduce(
      (sum, { attributes }) => sum + Number(attributes['spillway.flush.success']),
      0,
    );
    await this.#processor.shutdown();
    await this.#meterProvider.shutdown();
    return differs('items of spans', items, metrics.eventsFlushed);
  }

  close(): void {
    // Nothing is left.
  }
}

class Reported implements Watcher {
  readonly name = 'createReport';
  #report: Report | undefined;

  async start(): Promise<void> {
    this.#report = undefined;
  }

  attach(sink: Watched): void {
    this.#report = createReport(sink);
  }

  async end({ eventsFlushed }: SinkMetrics): Promise<string | undefined> {
    const text = `Recorded: ${eventsFlushed.toLocaleString('en-US')} items`;
    return this.#report!.toHtml().includes(text) ? undefined : `the page does not say "${text}"`;
  }

  close(): void {
    // Nothing is left.
  }
}

const CHANNELS = [
  ...['state', 'drop', 'retry', 'breaker', 'failed'].map((name) => `spillway:${name}`),
  ...['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => `tracing:spillway:flush:${name}`),
];

class Subscribed implements Watcher {
  readonly name = 'a subscriber of all channels';
  #items = 0;
  #messages = 0;
  readonly #listener = (message: unknown, name: string | symbol): void => {
    this.#messages += 1;
    if (name === 'tracing:spillway:flush:asyncEnd')
      this.#items += (message as SignalMessages['spillway:flush']).result?.success ?? 0;
  };

  async start(): Promise<void> {
    this.#items = 0;
    this.#messages = 0;
  }

  attach(): void {
    for (const name of CHANNELS) subscribe(name, this.#listener);
  }

  async end({ eventsFlushed, flushes }: SinkMetrics): Promise<string | undefined> {
    for (const name of CHANNELS) unsubscribe(name, this.#listener);
    const least = 4 * flushes;
    if (this.#messages < least) return `${this.#messages} messages in place of at least ${least}`;
    return differs('items of messages', this.#items, eventsFlushed);
  }

  close(): void {
    // Nothing is left.
  }
}
