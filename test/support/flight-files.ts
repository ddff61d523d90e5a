/** Real flights as files, in each form that the command line reads, with the checksum of what is in them. */

import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { FlightChecksum, type Checksum } from '../../benchmarks/flights/flight-checksum.js';
import { openFlights, type Flight } from '../../benchmarks/flights/flight-source.js';

export const FLIGHT_COLUMNS =
  'date timestamp, delay integer, distance integer, origin text, destination text';

export interface FlightFiles {
  readonly paths: readonly string[];
  readonly checksum: Checksum;
}

const FORMS: readonly { suffix: string; header: string; line: (flight: Flight) => string; gzip: boolean }[] =
  [
    { suffix: 'csv', header: 'date,delay,distance,origin,destination\n', line: csvLine, gzip: false },
    { suffix: 'csv.gz', header: 'date,delay,distance,origin,destination\n', line: csvLine, gzip: true },
    { suffix: 'ndjson', header: '', line: jsonLine, gzip: false },
    { suffix: 'ndjson.gz', header: '', line: jsonLine, gzip: true },
  ];

const LINES_AT_A_TIME = 1_000;

/** Writes the first `rows` of them into `directory`. */
export async function writeFlightFiles(directory: string, rows: number): Promise<FlightFiles> {
  const checksum = new FlightChecksum();
  const flights: Flight[] = [];
  const source = (await openFlights()).stream(() => undefined);
  for await (const flight of source as AsyncIterable<Flight>) {
    checksum.add(flight);
    flights.push(flight);
    if (flights.length === rows) break;
  }
  const paths: string[] = [];
  for (const { suffix, header, line, gzip } of FORMS) {
    const file = path.join(directory, `flights.${suffix}`);
    const text = function* (): Generator<string> {
      yield header;
      for (let start = 0; start < flights.length; start += LINES_AT_A_TIME) {
        yield flights
          .slice(start, start + LINES_AT_A_TIME)
          .map(line)
          .join('');
      }
    };
    const lines = Readable.from(text());
    if (gzip) await pipeline(lines, createGzip({ level: 1 }), createWriteStream(file));
    else await pipeline(lines, createWriteStream(file));
    paths.push(file);
  }
  return { paths, checksum: checksum.value };
}

function csvLine({ date, delay, distance, origin, destination }: Flight): string {
  return `${timestamp(date)},${delay},${distance},${origin},${destination}\n`;
}

function jsonLine({ date, ...rest }: Flight): string {
  return `${JSON.stringify({ date: timestamp(date), ...rest })}\n`;
}

function timestamp(date: Date): string {
  return date.toISOString().slice(0, 19);
}
