/** Three million real flights (US domestic, January to June 2001), from the Parquet file of `vega-datasets`, one row group after another. */

import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

export interface Flight {
  /** Scheduled departure; the file says no time zone, so it is taken as UTC. */
  date: Date;
  /** Minutes. */
  delay: number;
  /** Miles. */
  distance: number;
  origin: string;
  destination: string;
}

const FILE = fileURLToPath(
  new URL('../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url),
);

export interface FlightSource {
  readonly rowCount: number;
  /** All flights, in the file's order. `onRow` sees each one as it leaves. */
  stream(onRow: (flight: Flight) => void): Readable;
}

export async function openFlights(): Promise<FlightSource> {
  const file = await asyncBufferFromFile(FILE);
  const metadata = await parquetMetadataAsync(file);
  const groupSizes = metadata.row_groups.map((group) => Number(group.num_rows));

  async function readGroup(rowStart: number, rowEnd: number): Promise<RowGroup> {
    const columns = new Map<string, ArrayLike<unknown>>();
    await parquetRead({
      file,
      metadata,
      compressors,
      rowStart,
      rowEnd,
      onChunk: (chunk) => {
        if (columns.has(chunk.columnName) || chunk.rowStart !== rowStart || chunk.rowEnd !== rowEnd) {
          throw new Error(
            `column ${chunk.columnName}: expected one chunk of the rows ${rowStart} to ${rowEnd}`,
          );
        }
        columns.set(chunk.columnName, chunk.columnData);
      },
    });
    return new RowGroup(columns, rowEnd - rowStart);
  }

  async function* groups(): AsyncGenerator<RowGroup, void> {
    let start = 0;
    for (const size of groupSizes) {
      yield await readGroup(start, start + size);
      start += size;
    }
  }

  return {
    rowCount: Number(metadata.num_rows),
    stream: (onRow) => streamOf(groups(), onRow),
  };
}

/** The columns of a row group; a row is made only when it is asked for. */
class RowGroup {
  readonly rowCount: number;
  readonly #date: ArrayLike<unknown>;
  readonly #delay: ArrayLike<unknown>;
  readonly #distance: ArrayLike<unknown>;
  readonly #origin: ArrayLike<unknown>;
  readonly #destination: ArrayLike<unknown>;

  constructor(columns: ReadonlyMap<string, ArrayLike<unknown>>, rowCount: number) {
    const column = (name: string): ArrayLike<unknown> => {
      const values = columns.get(name);
      if (values?.length !== rowCount) throw new Error(`column ${name}: expected ${rowCount} values`);
      return values;
    };
    this.rowCount = rowCount;
    this.#date = column('date');
    this.#delay = column('delay');
    this.#distance = column('distance');
    this.#origin = column('origin');
    this.#destination = column('destination');
  }

  row(index: number): Flight {
    return {
      date: this.#date[index] as Date,
      delay: Number(this.#delay[index]),
      distance: Number(this.#distance[index]),
      origin: this.#origin[index] as string,
      destination: this.#destination[index] as string,
    };
  }
}

/** As many rows as the reader takes, synchronously; a new group only when it wants more. */
function streamOf(groups: AsyncGenerator<RowGroup, void>, onRow: (flight: Flight) => void): Readable {
  let group: RowGroup | undefined;
  let next = 0;
  const fill = async (readable: Readable): Promise<void> => {
    for (;;) {
      if (group === undefined || next === group.rowCount) {
        const result = await groups.next();
        if (result.done === true) {
          readable.push(null);
          return;
        }
        group = result.value;
        next = 0;
      }
      while (next < group.rowCount) {
        const flight = group.row(next);
        next += 1;
        onRow(flight);
        if (!readable.push(flight)) return;
      }
    }
  };
  return new Readable({
    objectMode: true,
    highWaterMark: 256,
    read() {
      fill(this).catch((error: unknown) => this.destroy(error as Error));
    },
  });
}
