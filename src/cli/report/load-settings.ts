/** The settings of a load as a report shows them: by the flags' names. A destination is not among them, as it may hold a password. */

import type { LoadOptions } from '../args/options.js';
import { showTable } from '../args/table-name.js';
import { valueFlagsToJson } from '../values/value-flags.js';

/** What has no flag of its own name, or is shown elsewhere. */
const LEFT_OUT: ReadonlySet<string> = new Set<keyof LoadOptions>([
  ...(['files', 'to', 'isParquet', 'isJsonDocument', 'unnamed', 'hasComments'] as const),
  ...(['skipped', 'dryRun', 'json', 'quiet'] as const),
]);
const RENAMED: Readonly<Record<string, string>> = { resume: 'import', nullsFor: 'null-for', types: 'type' };

/** What is unset, and what is `false`, is left out. */
export function settingsOf(options: LoadOptions): [string, string][] {
  const { table, format, flags, valueFlags, nullText, otherNulls, types, ...others } = options;
  const hasNull = format !== 'ndjson' && !options.isParquet;
  const all = {
    table: showTable(table),
    format: options.isParquet ? 'parquet' : options.isJsonDocument ? 'json' : format,
    ...others,
    // After the others, whose delimiter and header are set also if no flag is given.
    ...flags,
    noHeader: flags.header === false,
    null: hasNull ? [nullText, ...otherNulls] : undefined,
    ...valueFlagsToJson(valueFlags),
    types: Object.fromEntries(Object.entries(types).map(([name, { text }]) => [name, text])),
  };
  return Object.entries(all)
    .filter(([name]) => !LEFT_OUT.has(name))
    .filter(([, value]) => value !== undefined && value !== false && JSON.stringify(value) !== '{}')
    .map(([name, value]) => [flagOf(name), show(value)]);
}

const flagOf = (name: string): string =>
  `--${RENAMED[name] ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function show(value: unknown): string {
  if (value === true) return 'yes';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
