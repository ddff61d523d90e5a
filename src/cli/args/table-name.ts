/** The table's name, as the command line has it. */

export interface TableName {
  /** Unset: the first schema of the server's search path that has the table. */
  readonly schema: string | undefined;
  readonly table: string;
}

/**
 * Reads `NAME`, `SCHEMA.NAME`, or either part in double quotes (a quote within is doubled). Case is kept as it is written: unlike psql,
 * `Events` is not folded to `events`.
 *
 * @returns undefined if the text is none of these
 */
export function parseTableName(text: string): TableName | undefined {
  const part = '("(?:[^"]|"")+"|[^".]+)';
  const match = new RegExp(`^(?:${part}\\.)?${part}$`).exec(text);
  if (match === null) return undefined;
  const [, schema, table] = match;
  return { schema: schema === undefined ? undefined : unquote(schema), table: unquote(table!) };
}

function unquote(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
}

/** The table's name for people. */
export function showTable(name: TableName): string {
  return name.schema === undefined ? `"${name.table}"` : `"${name.schema}.${name.table}"`;
}
