/** The line of progress of a load where there is no view. Pure. */

import { counted, duration, mebibytes } from '../common/counted.js';
import type { LoadReading } from './reading.js';

export function plainLine(reading: LoadReading, seconds: number): string {
  const { sink, rejects = 0 } = reading;
  if (sink === undefined) return waits({ ...reading, doing: reading.doing ?? 'preparing' }).join(', ');
  const { eventsFlushed, retries, state } = sink.getMetrics();
  const rate = counted(Math.round(eventsFlushed / seconds), 'row');
  return [
    `${counted(eventsFlushed, 'row')}, ${rate}/s`,
    reading.isStopping ? 'stopping' : state,
    ...waits(reading),
    shareOf(reading, seconds),
    ...(retries === 0 ? [] : [counted(retries, 'retry', 'retries')]),
    ...(rejects === 0 ? [] : [counted(rejects, 'reject')]),
  ].join(', ');
}

function waits({ doing, waitingFor, lock }: Pick<LoadReading, 'doing' | 'waitingFor' | 'lock'>): string[] {
  return [
    ...(waitingFor === undefined ? [] : [`waiting for ${waitingFor}`]),
    ...(doing === undefined ? [] : [doing]),
    ...(lock === undefined ? [] : [`waiting for ${lock}`]),
  ];
}

function shareOf({ done, total, unit }: LoadReading, seconds: number): string {
  if (total === undefined || total === 0)
    return `${unit === 'rows' ? counted(done, 'row') : mebibytes(done)} read`;
  const rest =
    done === 0 || done >= total ? '' : `, ETA ${duration((1_000 * seconds * (total - done)) / done)}`;
  return `${Math.floor((100 * done) / total)} % read${rest}`;
}
