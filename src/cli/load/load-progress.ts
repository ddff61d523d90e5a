/** What `load` shows while it runs: which step it is at, and how its sink is doing. */

import { isatty } from 'node:tty';
import type { LoadOptions } from '../args/options.js';
import { showTable } from '../args/table-name.js';
import { counted } from '../common/counted.js';
import type { Source } from '../input/source.js';
import { plainLine } from '../live/plain-line.js';
import { startProgress, type Progress } from '../live/progress.js';
import type { LoadReading, WatchedSink } from '../live/reading.js';
import { connecting } from '../live/tasks.js';
import type { RejectFile } from '../rejects/reject-file.js';
import type { Connection } from '../server/connection.js';
import type { Destination, Environment } from '../server/destination.js';
import type { LoadSink } from '../write/load-sink.js';

export class LoadProgress {
  readonly #options: LoadOptions;
  readonly #rejects: RejectFile | undefined;
  readonly #isStopping: () => boolean;
  readonly #progress: Progress;
  #source: Source;
  #sink: LoadSink | undefined;
  #watched: WatchedSink | undefined;
  #connection: Connection | undefined;
  #doing: string | undefined;
  #doingSince = performance.now();

  constructor(
    options: LoadOptions,
    terminal: { readonly stderr: NodeJS.WriteStream; readonly environment: Environment },
    source: Source,
    rejects: RejectFile | undefined,
    isStopping: () => boolean,
  ) {
    this.#options = options;
    this.#source = source;
    this.#rejects = rejects;
    this.#isStopping = isStopping;
    const { quiet } = options;
    const { environment } = terminal;
    const sharesTerminal = goesToTerminal(options.rejects);
    this.#progress = startProgress({ quiet, environment, sharesTerminal }, terminal.stderr, {
      read: () => this.#reading(),
      line: (seconds) => plainLine(this.#reading(), seconds),
    });
  }

  /** Shows what is done next. Undefined: the usual work. */
  readonly step = (doing: string | undefined): void => {
    this.#doing = doing;
    this.#doingSince = performance.now();
  };

  connects(destination: Destination): void {
    this.step(connecting(destination));
  }

  disconnects({ kind }: Destination): void {
    this.step(kind === 'embedded' ? 'stopping the embedded PostgreSQL' : 'closing the connections');
  }

  connected(connection: Connection): void {
    this.#connection = connection;
  }

  /** What is read from now on. */
  reads(source: Source): void {
    this.#source = source;
  }

  watch(sink: LoadSink): void {
    this.step(undefined);
    this.#sink = sink;
    this.#watched = {
      getMetrics: () => sink.metrics(),
      on: (event, listener) => sink.stream.on(event, listener),
    };
  }

  stop(): void {
    this.#progress.stop();
  }

  #reading(): LoadReading {
    const { files, bytesRead, totalBytes } = this.#source;
    const input = files.length === 1 ? files[0]!.name : counted(files.length, 'file');
    const server = this.#connection === undefined ? '' : ` of ${this.#connection.label}`;
    return {
      kind: 'load',
      title: `${input} into ${showTable(this.#options.table)}${server}`,
      doing: this.#doing,
      isStopping: this.#isStopping(),
      done: bytesRead,
      total: totalBytes,
      unit: 'bytes',
      sink: this.#watched,
      connections: this.#connections(),
      rejects: this.#rejects?.count,
      waitingFor: this.#sink?.waitingFor.trouble,
      nextAttemptAt: this.#sink?.waitingFor.nextAttemptAt,
      lock: this.#connection?.locks.look(this.#silentMs()),
    };
  }

  /** For how long the server has not answered a step, or the oldest batch. */
  #silentMs(): number {
    if (this.#doing !== undefined) return performance.now() - this.#doingSince;
    return this.#watched?.getMetrics().oldestInFlightAgeMs ?? 0;
  }

  #connections(): LoadReading['connections'] {
    if (this.#connection === undefined) return undefined;
    const { totalCount, idleCount, options } = this.#connection.pool;
    return { busy: totalCount - idleCount, most: options.max };
  }
}

/** Rejects that are written there would tear the view. */
function goesToTerminal(file: string | undefined): boolean {
  const name = /^\/dev\/(?:(stdout|stderr|tty)|fd\/(\d+))$/.exec(file ?? '');
  if (name === null) return false;
  const [, word, number] = name;
  return word === 'tty' || isatty(word === undefined ? Number(number) : word === 'stdout' ? 1 : 2);
}
