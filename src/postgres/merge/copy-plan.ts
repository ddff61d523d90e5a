/**
 * Plans the statements of a batch: straight into the table, or into a temporary table and from there. Names are quoted; values never become
 * part of a statement. Pure.
 */

import { DEFAULT_MARKER, MOST_GROUPS, withoutAbsent } from './absent-values.js';
import { freeName } from './merge-plan.js';
import type { PlanRequest } from './plan-request.js';
import { planStaging, STAGING, STAGING_TABLE, type Staging } from './staging-plan.js';
import { quoteIdentifier, quoteLiteral, quoteTable } from '../sql/identifiers.js';
import { statement, type Statement } from '../sql/statement.js';

/** How the rows of a COPY are written: the text in its parentheses. */
export type CopyFormat = string;

/** Our own text: tabs, `\N` for NULL. */
export const TEXT_FORMAT: CopyFormat = "FORMAT text, ENCODING 'UTF8'";

/** The same into a table with defaults. */
export const TEXT_FORMAT_WITH_DEFAULTS: CopyFormat = `${TEXT_FORMAT}, DEFAULT ${quoteLiteral(DEFAULT_MARKER)}`;

export const BINARY_FORMAT: CopyFormat = 'FORMAT binary';

/** The server's own CSV, or its text format with another delimiter and another NULL than usual. Both are given by the user. */
export function delimitedFormat(format: 'csv' | 'text', delimiter: string, nullText: string): CopyFormat {
  return `FORMAT ${format}, DELIMITER ${quoteLiteral(delimiter)}, NULL ${quoteLiteral(nullText)}, ENCODING 'UTF8'`;
}

export interface CopyPlan {
  /** @param absent columns that these rows leave out, as `absentList` makes it. Default: none. */
  copy(format: CopyFormat, absent?: string): Statement;
  /** The table that the server names if a row of the COPY is at fault. */
  copiedTable: string;
  /** Set if rows go through a temporary table. */
  staging: Staging | undefined;
  /** The order of two rows decides which of them is stored. */
  isOrdered: boolean;
}

export function planCopy(request: PlanRequest): CopyPlan {
  const { schema, table, columns, conflict, isSecured, listsAbsent } = request;
  const names = columns.map(({ name }) => name);
  if (conflict.onConflict === 'error' && !isSecured && !listsAbsent) {
    const copy = copyInto(quoteTable(schema, table), names);
    return { copy, copiedTable: table, staging: undefined, isOrdered: false };
  }
  const absentColumn = listsAbsent ? freeName('spillway_absent', names) : undefined;
  return {
    copy: copyInto(STAGING, absentColumn === undefined ? names : [...names, absentColumn]),
    copiedTable: STAGING_TABLE,
    isOrdered: conflict.onConflict !== 'error',
    staging: planStaging(request, absentColumn),
  };
}

function copyInto(table: string, names: readonly string[]): CopyPlan['copy'] {
  const lists = new Map<string, string>();
  return (format, absent = '') => {
    let list = lists.get(absent);
    if (list === undefined) {
      // Rows may leave out anything: what is kept stays small.
      if (lists.size === MOST_GROUPS) lists.clear();
      list = withoutAbsent(names, absent).map(quoteIdentifier).join(', ');
      lists.set(absent, list);
    }
    return statement(`COPY ${table} (${list}) FROM STDIN WITH (${format})`);
  };
}
