/** Says, once for each column, which statement makes room for values and keys that the table cannot take. */

import { CopyError, quoteIdentifier, quoteTable, roomierType } from '../load/parts.js';
import type { FailedItem } from '../../api/options.js';
import type { LogMessage } from '../../log/log.js';
import type { ConsumeTarget } from './consume-target.js';
import { UnknownKey } from './message-row.js';

/** More columns than these are no matter of single columns. */
const MOST_COLUMNS = 20;
/** PostgreSQL cuts a longer name, so that the key would still have no column. */
const LONGEST_NAME_BYTES = 63;

export class RefusedColumns {
  readonly #target: Pick<ConsumeTarget, 'table' | 'columns'>;
  readonly #found = new Map<string, string>();

  constructor(target: Pick<ConsumeTarget, 'table' | 'columns'>) {
    this.#target = target;
  }

  get lines(): string[] {
    return [...this.#found.values()];
  }

  /** Returns the lines that are new. */
  add(failures: readonly FailedItem<LogMessage>[]): string[] {
    const before = this.#found.size;
    for (const { item, error } of failures) {
      if (this.#found.size === MOST_COLUMNS) break;
      if (!(error instanceof CopyError)) continue;
      const name = error.cause instanceof UnknownKey ? error.cause.key : error.column;
      if (name === undefined || this.#found.has(name)) continue;
      const line =
        error.cause instanceof UnknownKey
          ? this.#lineForKey(name, item.position)
          : this.#lineForValue(name, error.sqlState, item.position);
      if (line !== undefined) this.#found.set(name, line);
    }
    return this.lines.slice(before);
  }

  #lineForValue(name: string, sqlState: string | undefined, position: number): string | undefined {
    const column = this.#target.columns.find(({ columnName }) => columnName === name);
    const type = roomierType(sqlState);
    if (column === undefined || column.hasGivenType === true || type === undefined) return undefined;
    const quoted = quoteIdentifier(name);
    return (
      `position ${position} does not fit the column ${quoted} (${column.typeName}); to make room for such values, ` +
      this.#advice(`ALTER COLUMN ${quoted} TYPE ${type}`)
    );
  }

  #lineForKey(key: string, position: number): string | undefined {
    if (key === '' || Buffer.byteLength(key) > LONGEST_NAME_BYTES) return undefined;
    const quoted = quoteIdentifier(key);
    return (
      `position ${position} has the key ${quoted}, which has no column; --columns leaves other keys out; to make a column for it, ` +
      this.#advice(`ADD COLUMN ${quoted} text`)
    );
  }

  /** @param action what ALTER TABLE does */
  #advice(action: string): string {
    const { schema, table } = this.#target.table;
    return `stop the workers, run ALTER TABLE ${quoteTable(schema, table)} ${action}; and start them again`;
  }
}
