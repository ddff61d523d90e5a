/** `spillway/opentelemetry`: metrics and spans of streams, controllers and loads. */

export {
  instrument,
  type Instrumentable,
  type Instrumentation,
  type InstrumentOptions,
} from './instrument.js';
