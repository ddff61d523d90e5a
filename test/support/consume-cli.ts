/** `spillway consume` as its users have it, with a NATS server and a database of the test file's own. */

import { useCli, type Cli, type CliResult, type RunningCli, type RunOptions } from './cli.js';
import type { TestDatabase } from './postgres.js';
import { useTestStreams, type TestStreams } from './test-streams.js';

export interface ConsumeCli {
  readonly cli: Cli;
  readonly streams: TestStreams;
  /** `nats://127.0.0.1:…` */
  readonly url: string;
  /** Runs it until it is caught up. */
  consume(args: readonly string[], options?: RunOptions): Promise<CliResult>;
  start(args: readonly string[], options?: RunOptions): RunningCli;
}

export function useConsume(database: Pick<TestDatabase, 'url'>): ConsumeCli {
  const streams = useTestStreams();
  // Afterwards: its processes are ended before consumers are looked for.
  const cli = useCli();
  const url = (): string => `nats://127.0.0.1:${streams.server.port}`;
  const withServers = ({ env, ...options }: RunOptions): RunOptions => ({
    ...options,
    env: { DATABASE_URL: database.url, NATS_URL: url(), ...env },
  });
  return {
    cli,
    streams,
    get url() {
      return url();
    },
    consume: (args, options = {}) => cli.run(['consume', '--until-caught-up', ...args], withServers(options)),
    start: (args, options = {}) => cli.start(['consume', ...args], withServers(options)),
  };
}
