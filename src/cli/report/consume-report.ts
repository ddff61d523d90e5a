/** The page of `consume --report`: what a worker did, as far as it came. Loaded only if it is asked for. */

import { Recorder, type Recording, type ReportTarget } from '../../report/measure/recorder.js';
import { LOG_WORDS } from '../../report/page/charts.js';
import { duration } from '../../report/page/format.js';
import { section, table } from '../../report/page/markup.js';
import { page, type PageContents } from '../../report/page/page.js';
import { versions } from '../../report/versions.js';
import { systemClock, type Clock } from '../../common/clock.js';
import type { ConsumeFlags } from '../args/options.js';
import { showTable } from '../args/table-name.js';
import { count, mebibytes } from '../common/counted.js';
import type { ConsumeJson } from './consume-json.js';
import { consumeSettingsOf } from './consume-settings.js';

const INTERVAL_MS = 100;

/** What is known besides when a worker has ended. */
export interface ConsumeEnding extends Pick<PageContents, 'status' | 'lines'> {
  readonly json: ConsumeJson;
  /** Names of servers, without what is secret. */
  readonly servers: readonly (readonly [string, string])[];
}

export class ConsumeReport {
  readonly #flags: ConsumeFlags;
  readonly #clock: Clock;
  readonly #startedAt = new Date();
  #recorder: Recorder | undefined;

  /** @param clock tests turn its hands */
  constructor(flags: ConsumeFlags, clock: Clock = systemClock) {
    this.#flags = flags;
    this.#clock = clock;
  }

  watch(load: ReportTarget): void {
    this.#recorder = new Recorder(load, this.#clock, INTERVAL_MS);
  }

  /** Ends the recording, and returns the page. */
  page({ status, lines, json, servers }: ConsumeEnding): string {
    this.#recorder?.stop();
    const recording: Recording | undefined = this.#recorder?.recording();
    const settings = [...servers, ...consumeSettingsOf(this.#flags)];
    return page({
      title: `Stream ${this.#flags.stream} into ${showTable(this.#flags.table)}`,
      status,
      lines,
      words: LOG_WORDS,
      recording,
      sections: [
        section('settings', 'Settings', table('By the names of the flags', ['flag', 'value'], settings)),
      ],
      startedAt: this.#startedAt,
      endedAt: new Date(),
      versions: versions(),
      facts: factsOf(json),
    });
  }
}

function factsOf(json: ConsumeJson): [string, string][] {
  return [
    ['rows loaded', count(json.rows)],
    ['rows per second', count(json.rowsPerSecond)],
    ['dead letters', count(json.deadLetters)],
    ['positions lost', count(json.positionsLost)],
    ...(json.lagMessages === null
      ? []
      : ([['messages behind at the end', count(json.lagMessages)]] as [string, string][])),
    ...(json.lagSeconds === null
      ? []
      : ([['time behind at the end', duration(1_000 * json.lagSeconds)]] as [string, string][])),
    ['duration', duration(1_000 * json.seconds)],
    ['read', mebibytes(json.bytesRead)],
    ['batches', count(json.batches)],
    ['retries', count(json.retries)],
    ['lanes finished', count(json.lanesFinished)],
    ['lanes taken over by others', count(json.lanesLost)],
    ['peak memory', mebibytes(json.peakMemoryBytes)],
    ['exit code', String(json.exitCode)],
  ];
}
