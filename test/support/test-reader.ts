/** Collects metrics of the OpenTelemetry SDK when a test asks for them. */

import { MetricReader, type DataPoint, type Histogram } from '@opentelemetry/sdk-metrics';

export class TestReader extends MetricReader {
  /** All values by instrument, with the attributes that tell them apart. Of a histogram, how many values it has. */
  async values(): Promise<Map<string, number>> {
    const values = new Map<string, number>();
    const { resourceMetrics } = await this.collect();
    for (const { metrics } of resourceMetrics.scopeMetrics) {
      for (const { descriptor, dataPoints } of metrics) {
        for (const { attributes, value } of dataPoints as DataPoint<number | Histogram>[]) {
          const labels = Object.entries(attributes).map(([name, label]) => `${name}=${String(label)}`);
          values.set(
            [descriptor.name, ...labels.sort()].join(' '),
            typeof value === 'number' ? value : value.count,
          );
        }
      }
    }
    return values;
  }

  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}
