/** Says, once for each column, which statement makes room for values that its type cannot take. */

import { CopyError, quoteIdentifier, quoteTable, roomierType } from '../load/parts.js';
import type { FailedItem } from '../../api/options.js';
import type { LogMessage } from '../../log/log.js';
import type { ConsumeTarget } from './consume-target.js';

/** More columns than these are no matter of single types. */
const MOST_COLUMNS = 20;

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
      if (!(error instanceof CopyError) || error.column === undefined || this.#found.has(error.column))
        continue;
      const line = this.#lineFor(error, item.position);
      if (line !== undefined) this.#found.set(error.column, line);
    }
    return this.lines.slice(before);
  }

  #lineFor({ column: refused, sqlState }: CopyError, position: number): string | undefined {
    const { table, columns } = this.#target;
    const column = columns.find(({ columnName }) => columnName === refused);
    const type = roomierType(sqlState);
    if (column === undefined || column.hasGivenType === true || type === undefined) return undefined;
    const name = quoteIdentifier(column.columnName);
    return (
      `position ${position} does not fit the column ${name} (${column.typeName}); to make room for such values, stop the workers, run ` +
      `ALTER TABLE ${quoteTable(table.schema, table.table)} ALTER COLUMN ${name} TYPE ${type}; and start them again`
    );
  }
}
