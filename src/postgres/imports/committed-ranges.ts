/** Reads which positions of its source an import has committed. */

import { LARGE_ANSWER } from '../protocol/protocol-guard.js';
import type { CopyClient } from '../protocol/pool.js';
import { runStatement } from '../sql/statement.js';
import { PositionRanges, toPosition } from './import-positions.js';
import type { ImportStatements } from './import-statements.js';

/** Ranges that could be joined: joining fewer is not worth a statement. */
const MANY_RANGES = 1_000;

export interface Committed {
  readonly ranges: PositionRanges;
  readonly rows: number;
  readonly rejected: number;
}

export async function readCommitted(
  client: CopyClient,
  statements: ImportStatements,
  id: string,
): Promise<Committed> {
  const { rows } = await runStatement(client, statements.readRanges, [id], LARGE_ANSWER);
  const found = rows as { first: string; last: string; rows: string; rejected: string; plain: string }[];
  const ranges = new PositionRanges();
  const counts = { rows: 0, rejected: 0, plain: 0 };
  for (const range of found) {
    ranges.add(toPosition(BigInt(range.first)), toPosition(BigInt(range.last)));
    counts.rows += Number(range.rows);
    counts.rejected += Number(range.rejected);
    counts.plain += Number(range.plain);
  }
  if (counts.plain - found.length > MANY_RANGES) await runStatement(client, statements.compact, [id]);
  return { ranges, ...counts };
}
