/** Looks at the first messages of a log, for the columns of a table that is to be made. */

import { CliError, isCliError, messageOf, RecordKeys } from '../load/parts.js';
import type { Log, LogBounds, LogMessage, OpenLog } from '../../log/log.js';
import type { ConsumeFlags } from '../args/options.js';
import type { InputName } from '../table/input-names.js';
import { recordOf } from './message-row.js';

/** The sample ends at the first of these limits, but has at least one record. */
const SAMPLE_MESSAGES = 10_000;
const SAMPLE_BYTES = 4 * 1024 * 1024;
const READ_WAIT_MS = 1_000;

export interface ColumnSample {
  readonly names: InputName[];
  /** So many messages have them. */
  readonly messages: number;
}

/**
 * Returns names and types of the columns.
 *
 * @throws {CliError} if there is no message that is a JSON object
 */
export async function sampleColumns(
  log: Log,
  {
    columns,
    types,
    stream,
    filter,
    from,
  }: Pick<ConsumeFlags, 'columns' | 'types' | 'stream' | 'filter' | 'from'>,
  signal: AbortSignal,
): Promise<ColumnSample> {
  const keys = new RecordKeys(columns);
  const place = { name: `stream ${stream}`, countsRecords: true };
  let bytes = 0;
  let records = 0;
  let fault: string | undefined;
  for await (const message of messagesOf(await log.open(signal), from, signal)) {
    try {
      keys.add(recordOf(message), true, place, message.position);
      records += 1;
    } catch (error) {
      if (isCliError(error)) throw error;
      fault ??= `at position ${message.position}: ${messageOf(error)}`;
    }
    bytes += message.bytes.length;
    if (records === SAMPLE_MESSAGES || (records > 0 && bytes >= SAMPLE_BYTES)) break;
  }
  const names = keys.names({ types, normalizeNames: false }, true);
  if (records > 0 && names !== undefined) return { names, messages: records };
  const which = filter === undefined ? '' : ` of the subjects ${JSON.stringify(filter)}`;
  throw new CliError(
    bytes === 0 && fault === undefined
      ? `stream ${JSON.stringify(stream)} has no messages${which} to infer the columns of the table from; publish one first, or make the table`
      : `no message of stream ${JSON.stringify(stream)}${which} is a JSON object with keys, to infer the columns of the table from` +
          (fault === undefined ? '' : ` (${fault})`),
  );
}

/** Gives what the log has now from a start on, the oldest message first. What comes from now on is like the last ones that there are. */
async function* messagesOf(
  log: OpenLog,
  from: ConsumeFlags['from'],
  signal: AbortSignal,
): AsyncGenerator<LogMessage> {
  const bounds = await boundsFrom(log, from, signal);
  for (let number = bounds.firstLane; number <= bounds.lastLane; number += 1) {
    const lane = bounds.lane(number);
    let next = Math.max(lane.first, lane.oldest);
    const reader = log.reader(lane, next);
    const close = (): void => reader.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      while (next < lane.end) {
        signal.throwIfAborted();
        const { messages, reached } = await reader.read(
          { messages: SAMPLE_MESSAGES, bytes: SAMPLE_BYTES },
          READ_WAIT_MS,
        );
        for (const message of messages) if (message.position < lane.end) yield message;
        next = Math.max(next, reached + 1);
      }
    } finally {
      signal.removeEventListener('abort', close);
      reader.close();
    }
  }
}

async function boundsFrom(log: OpenLog, from: ConsumeFlags['from'], signal: AbortSignal): Promise<LogBounds> {
  if (from === undefined || from === 'first') return log.bounds(signal);
  if (from !== 'last') return log.bounds(signal, from);
  const bounds = await log.bounds(signal);
  const start = bounds.lane(bounds.lastLane).end - SAMPLE_MESSAGES;
  return start <= 1 || !log.hasOneOrder ? bounds : log.bounds(signal, start);
}
