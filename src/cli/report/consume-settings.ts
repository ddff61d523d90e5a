/** The settings of a worker as a report shows them: by the flags' names. What may hold a secret is not among them. */

import { duration } from '../../report/page/format.js';
import type { ConsumeFlags } from '../args/options.js';
import { showTable } from '../args/table-name.js';

/** Addresses may have a password. Files of keys are no secret, but say where secrets are. */
const LEFT_OUT: ReadonlySet<string> = new Set<keyof ConsumeFlags>([
  ...(['servers', 'to', 'creds', 'nkey', 'tlskey', 'report', 'json', 'quiet'] as const),
]);
const RENAMED: Readonly<Record<string, string>> = { types: 'type' };

/** What is unset, and what is `false`, is left out. */
export function consumeSettingsOf(flags: ConsumeFlags): [string, string][] {
  const all = {
    ...flags,
    table: showTable(flags.table),
    ...timesOf(flags),
    types: Object.entries(flags.types).map(([name, { text }]) => `${name}=${text}`),
  };
  return Object.entries(all)
    .filter(([name]) => !LEFT_OUT.has(name))
    .filter(([, value]) => value !== undefined && value !== false && JSON.stringify(value) !== '[]')
    .map(([name, value]) => [flagOf(name), show(value)]);
}

const TIMES = ['flushInterval', 'lease', 'maxOutage'] as const;

function timesOf(flags: ConsumeFlags): Record<string, string> {
  return Object.fromEntries(
    TIMES.flatMap((name) => (flags[name] === undefined ? [] : [[name, duration(flags[name])]])),
  );
}

const flagOf = (name: string): string =>
  `--${RENAMED[name] ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function show(value: unknown): string {
  if (value === true) return 'yes';
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
