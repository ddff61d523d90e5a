import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import type { ResolvedTransform } from '../../settings/resolve-transform.js';
import { Mapper, type MapperHooks } from './mapper.js';
import type { ReadBuffer, SourceItems } from './read-buffer.js';

export interface OutputHooks extends MapperHooks {
  /** An array may be shorter than `batchSize`: nothing more will come, or nothing more can come. */
  isShortAllowed(): boolean;
}

/** What a transform has to emit: items, arrays of items, or what `map` made of them. */
export class OutputSource<In> {
  readonly #queue: AdmissionQueue<In>;
  readonly #batchSize: number | undefined;
  readonly #mapper: Mapper<In> | undefined;
  readonly #hooks: OutputHooks;
  /** Items are emitted as they are. */
  readonly isPlain: boolean;
  readonly maps: boolean;
  /** Items are mapped as they come, and not only when the reader asks. */
  readonly mapsAhead: boolean;
  /** The value that was pushed last, where it does not tell its items. */
  #lastValue: unknown;
  #lastSource: SourceItems<In> | undefined;

  constructor(queue: AdmissionQueue<In>, settings: ResolvedTransform<In>, hooks: OutputHooks) {
    this.#queue = queue;
    this.#batchSize = settings.batchSize;
    this.#mapper = settings.map && new Mapper(settings.map, hooks);
    this.#hooks = hooks;
    this.maps = settings.map !== undefined;
    this.isPlain = settings.batchSize === undefined && settings.map === undefined;
    this.mapsAhead = this.maps && settings.strategy !== 'drop_oldest';
  }

  /** Mapped, and not emitted yet: their count, and the bytes of their items. */
  get mapped(): { count: number; bytes: number } {
    return { count: this.#mapper?.size ?? 0, bytes: this.#mapper?.bytes ?? 0 };
  }

  /** Items that `map` has taken out of the queue, oldest first. */
  get takenItems(): In[] {
    return this.#mapper?.items ?? [];
  }

  /** When the oldest of them was admitted; `Infinity` if there is none. */
  get oldestTakenTime(): number {
    return this.#mapper?.oldestTime ?? Infinity;
  }

  get isEmpty(): boolean {
    return this.#queue.ledger.queued === 0 && (this.#mapper === undefined || this.#mapper.size === 0);
  }

  get isAllMapped(): boolean {
    return this.#mapper === undefined || (this.#queue.ledger.queued === 0 && !this.#mapper.isBusy);
  }

  /** Whether there is a value to emit: an item, or as many as an array holds. */
  get isReady(): boolean {
    const ready = this.#mapper?.size ?? this.#queue.ledger.queued;
    if (ready === 0 || this.#batchSize === undefined) return ready > 0;
    return ready >= this.#batchSize || (this.#hooks.isShortAllowed() && this.isAllMapped);
  }

  /** Pushes the next value. Returns whether more may be pushed. */
  pushNext(buffer: ReadBuffer<In>): boolean {
    if (this.#mapper !== undefined) return this.#pushMapped(this.#mapper, buffer);
    const queue = this.#queue;
    if (this.#batchSize === undefined) {
      const bytesBefore = queue.ledger.queuedBytes;
      const time = queue.oldestTime;
      const item = queue.takeOne();
      return buffer.push(item, item, false, 1, bytesBefore - queue.ledger.queuedBytes, time);
    }
    const count = Math.min(this.#batchSize, queue.ledger.queued);
    const { items, bytes, oldestTime } = queue.takeBatch(count);
    return buffer.push(items, items, true, count, bytes, oldestTime);
  }

  /** Maps an item. Returns whether there may be something to emit, or to map, at once. */
  mapNext(): boolean {
    const mapper = this.#mapper;
    const queue = this.#queue;
    if (mapper === undefined || mapper.isBusy || queue.ledger.queued === 0) return false;
    const bytesBefore = queue.ledger.queuedBytes;
    const time = queue.oldestTime;
    const item = queue.takeOne();
    mapper.map(item, bytesBefore - queue.ledger.queuedBytes, time);
    return !mapper.isBusy;
  }

  /** Whether mapping one more item helps a reader that asks for a value. */
  get isMapDue(): boolean {
    const ready = this.#mapper?.size ?? 0;
    if (this.#batchSize === undefined) return ready === 0;
    if (ready >= this.#batchSize) return false;
    return ready + this.#queue.ledger.queued >= this.#batchSize || this.#hooks.isShortAllowed();
  }

  /** What a value stands for that the reader puts back. */
  itemsBehind(value: unknown): SourceItems<In> {
    if (this.#mapper !== undefined) {
      const isLast = value === this.#lastValue && this.#lastSource !== undefined;
      return isLast ? this.#lastSource! : { items: [value as In], bytes: 0 };
    }
    const items = this.#batchSize !== undefined && Array.isArray(value) ? (value as In[]) : [value as In];
    let bytes = 0;
    for (const item of items) bytes += this.#queue.measure(item);
    return { items, bytes };
  }

  /** What `map` is at work on stays where it is, whatever it returns. */
  freeze(): void {
    this.#mapper?.freeze();
  }

  close(): void {
    this.#mapper?.close();
    this.#lastValue = undefined;
    this.#lastSource = undefined;
  }

  #pushMapped(mapper: Mapper<In>, buffer: ReadBuffer<In>): boolean {
    if (this.#batchSize === undefined) {
      const { item, result, bytes, time } = mapper.shift();
      this.#lastValue = result;
      this.#lastSource = { items: [item], bytes };
      return buffer.push(result, item, false, 1, bytes, time);
    }
    const time = mapper.oldestTime;
    const results: unknown[] = [];
    const items: In[] = [];
    let bytes = 0;
    for (let count = Math.min(this.#batchSize, mapper.size); count > 0; count--) {
      const mapped = mapper.shift();
      results.push(mapped.result);
      items.push(mapped.item);
      bytes += mapped.bytes;
    }
    this.#lastValue = results;
    this.#lastSource = { items, bytes };
    return buffer.push(results, items, true, items.length, bytes, time);
  }
}
