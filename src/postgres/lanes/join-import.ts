/** Begins an import of a log, or joins one that has begun: with the same log, table and start. */

import { CopyError } from '../errors/copy-error.js';
import { describeImportFailure, SourceChanged } from '../imports/import-errors.js';
import { showImportId } from '../imports/import-id.js';
import { asciiJson, sourceDifferences } from '../imports/import-source.js';
import { ensureTables, isMadeMeanwhile, type LoadedTable } from '../imports/import-tables.js';
import { inTransaction, limitLockWait } from '../imports/import-transaction.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { runStatement } from '../sql/statement.js';
import { beginTransaction, laneStatements, type LaneStatements } from './lane-statements.js';
import { createLaneTables, laneTables } from './lane-tables.js';
import type { KeptStart } from './log-start.js';

export const LOCK_TIMEOUT_MS = 30_000;

export interface LaneLedgerOptions extends LoadedTable {
  readonly importId: string;
  readonly deadLetters: string;
  readonly leaseMs: number;
  /** Lanes are read one after another. */
  readonly isOrdered: boolean;
  /** Where the import is to begin if it is new. Undefined: where it has begun, or at the first message. */
  readonly from: KeptStart | undefined;
  /** The most dead letters that the import may have. */
  readonly maxRejects: number | undefined;
  /** The subject that dead letters are copied to. */
  readonly deadLetterSubject?: string | undefined;
  readonly source: object;
}

export interface JoinedImport {
  readonly importRow: string;
  readonly start: KeptStart;
}

/** @throws {CopyError} `setup` for another table, log or start, or for tables that are not trusted */
export async function joinImport<Client extends CopyClient>(
  pool: CopyPool<Client>,
  options: LaneLedgerOptions,
  signal: AbortSignal,
): Promise<JoinedImport> {
  const statements = laneStatements(options.schema);
  const begin = beginTransaction(options.leaseMs);
  const attempt = (): Promise<JoinedImport> =>
    inTransaction(pool, begin, signal, (client) => join(client, statements, options));
  try {
    try {
      return await attempt();
    } catch (error) {
      if (!isMadeMeanwhile(error)) throw error;
      return await attempt();
    }
  } catch (error) {
    throw describeImportFailure(error, 'join', options.importId);
  }
}

async function join(
  client: CopyClient,
  statements: LaneStatements,
  options: LaneLedgerOptions,
): Promise<JoinedImport> {
  const { importId, table, schema, deadLetters, source, from } = options;
  await limitLockWait(client, LOCK_TIMEOUT_MS);
  await ensureTables(client, options, createLaneTables(schema, deadLetters), laneTables(deadLetters));
  const start = from ?? 'first';
  const { rows: made } = await runStatement(client, statements.insertImport, [
    importId,
    table,
    asciiJson({ ...source, from: start }),
  ]);
  const [first] = made as { id: string }[];
  if (first !== undefined) {
    await runStatement(client, statements.forgetOrphans, [first.id]);
    return { importRow: first.id, start };
  }
  const { rows } = await runStatement(client, statements.findImport, [importId]);
  const [known] = rows as { id: string; table_name: string; source: string | null }[];
  const name = showImportId(importId);
  if (known === undefined) {
    throw new CopyError(`import ${name} was deleted just now; try again`, { failureClass: 'transport' });
  }
  if (known.table_name !== table) {
    const message = `import ${name} is one of table ${JSON.stringify(known.table_name)}, not of ${JSON.stringify(table)}; give another import id`;
    throw new CopyError(message, { failureClass: 'setup', table });
  }
  const before = known.source === null ? undefined : (JSON.parse(known.source) as { from?: KeptStart });
  const begun = before?.from ?? 'first';
  const now = asciiJson({ ...source, from: from ?? begun });
  const differences = sourceDifferences(before, JSON.parse(now));
  if (differences.length > 0) {
    // A run that failed before it had made a lane, for a filter or a start that the log does not have, leaves nothing to be continued.
    const isReplaced =
      isOfLog(before) &&
      (await runStatement(client, statements.replaceSource, [known.id, now])).rows.length > 0;
    if (!isReplaced) throw new SourceChanged(importId, differences);
  }
  return { importRow: known.id, start: from ?? begun };
}

/** @throws {SourceChanged} if another run has replaced the source since this one has joined, before the first lanes were made */
export async function checkSource(
  client: CopyClient,
  statements: LaneStatements,
  { importId, source }: Pick<LaneLedgerOptions, 'importId' | 'source'>,
  start: KeptStart,
): Promise<void> {
  const { rows } = await runStatement(client, statements.findImport, [importId]);
  const [known] = rows as { source: string | null }[];
  const kept: unknown = JSON.parse(known?.source ?? 'null');
  const differences = sourceDifferences(kept, JSON.parse(asciiJson({ ...source, from: start })));
  if (differences.length > 0) throw new SourceChanged(importId, differences);
}

/** What `copyInto` or `load` have begun has no lanes either. */
function isOfLog(source: object | undefined): boolean {
  return source !== undefined && 'log' in source;
}
