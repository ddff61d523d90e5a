/** The page of `--report`: what a load did, as far as it came. A program of its own, which is loaded only if it is asked for. */

import { Recorder, type ReportTarget } from '../../report/measure/recorder.js';
import { Causes } from '../../report/measure/causes.js';
import { STREAM_WORDS } from '../../report/page/charts.js';
import { html, section, table, type Markup } from '../../report/page/markup.js';
import { page, type PageContents } from '../../report/page/page.js';
import { versions } from '../../report/versions.js';
import type { Clock } from '../../common/clock.js';
import type { LoadOptions } from '../args/options.js';
import { showTable } from '../args/table-name.js';
import { count, counted, mebibytes } from '../common/counted.js';
import type { SourceFile } from '../input/source.js';
import type { LoadColumn } from '../table/table.js';
import type { LoadJson } from './load-json.js';
import { settingsOf } from './load-settings.js';

/** Short enough that a load of a second has some, and long enough that none notices it. */
const INTERVAL_MS = 50;
/** More of them are counted only. */
const MOST_FILES = 200;

/** The part of a load's sink that is recorded. */
interface RecordedSink {
  readonly stream: NodeJS.WritableStream;
  metrics(): ReturnType<ReportTarget['getMetrics']>;
}

/** What is known besides when a load has ended. */
export interface LoadEnding extends Pick<PageContents, 'status' | 'lines'> {
  readonly json: LoadJson;
  /** The server's name; undefined if there was none yet. */
  readonly label: string | undefined;
  readonly columns: readonly LoadColumn[];
  /** `--atomic`: the transaction was committed. `true` for loads without it. */
  readonly wasCommitted: boolean;
}

export class LoadReport {
  readonly #options: LoadOptions;
  readonly #inputs: readonly SourceFile[];
  readonly #clock: Clock;
  readonly #startedAt = new Date();
  #recorder: Recorder | undefined;
  #rejects = new Causes();

  constructor(options: LoadOptions, inputs: readonly SourceFile[], clock: Clock) {
    this.#clock = clock;
    this.#options = options;
    this.#inputs = inputs;
  }

  addReject(code: string | null, message: string): void {
    this.#rejects.add({ code: code ?? 'none', message });
  }

  /** Records a sink. A second one belongs to a load that has started over. */
  watch(sink: RecordedSink): void {
    const target: ReportTarget = {
      getMetrics: () => sink.metrics(),
      // An item of the stream may be a block of rows: rejects are counted by row.
      on: (event, listener) => event !== 'failed' && sink.stream.on(event, listener),
      off: (event, listener) => sink.stream.off(event, listener),
    };
    this.#rejects = new Causes();
    if (this.#recorder === undefined) this.#recorder = new Recorder(target, this.#clock, INTERVAL_MS);
    else this.#recorder.continueWith(target);
  }

  /** Ends the recording, and returns the page. */
  page({ status, lines, json, label, columns, wasCommitted }: LoadEnding): string {
    this.#recorder?.stop();
    const server = label === undefined ? [] : ([['server', label]] as const);
    const settings = [...server, ...settingsOf(this.#options)];
    return page({
      title: `Load into ${showTable(this.#options.table)}`,
      status,
      lines,
      words: { ...STREAM_WORDS, items: 'rows', delivered: wasCommitted ? 'loaded' : 'sent' },
      recording: this.#recorder?.recording(),
      rejects: this.#rejects.list(),
      sections: [
        this.#input(json, columns),
        section('settings', 'Settings', table('By the names of the flags', ['flag', 'value'], settings)),
      ],
      startedAt: this.#startedAt,
      endedAt: new Date(),
      versions: versions(),
      facts: factsOf(json),
    });
  }

  #input(json: LoadJson, columns: readonly LoadColumn[]): Markup {
    const files = this.#inputs.slice(0, MOST_FILES);
    const more = this.#inputs.length - files.length;
    const reading = Object.entries(json.reading ?? {}).filter(([, value]) => value !== null);
    return section('input', 'How the input was read', [
      table(
        'Files',
        ['file', { name: 'size', isNumber: true }],
        files.map(({ name, sizeBytes }) => [
          name,
          sizeBytes === undefined ? 'not known' : mebibytes(sizeBytes),
        ]),
      ),
      ...(more === 0 ? [] : [html`<p>and ${counted(more, 'more file')}</p>`]),
      ...(reading.length === 0 ? [] : [table('Reading', ['what', 'found'], reading.map(readingRow))]),
      ...(columns.length === 0 ? [] : [columnTable(columns)]),
    ]);
  }
}

function readingRow([name, value]: [string, unknown]): [string, string] {
  return [
    name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
    typeof value === 'string' ? value : JSON.stringify(value),
  ];
}

function columnTable(columns: readonly LoadColumn[]): Markup {
  return table(
    'Columns',
    ['column of the table', 'type', 'name in the input'],
    columns.map(({ columnName, typeName, written, name }) => [columnName, typeName, written ?? name]),
  );
}

function factsOf(json: LoadJson): [string, string][] {
  return [
    ['rows loaded', count(json.rows)],
    ['rows per second', count(json.rowsPerSecond)],
    ['rows rejected', count(json.rejects)],
    ['rows dropped', count(json.rowsDropped)],
    ['read', mebibytes(json.bytesRead)],
    ['seconds', json.seconds.toFixed(2)],
    ['flushes', count(json.flushes)],
    ['retries', count(json.retries)],
    ['peak memory', mebibytes(json.peakMemoryBytes)],
    ['exit code', String(json.exitCode)],
  ];
}
