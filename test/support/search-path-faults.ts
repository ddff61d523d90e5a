/**
 * What in a statement depends on the search path, found by its words. For statements of ours, whose names of tables and columns are quoted
 * where users have given them. See `src/postgres/sql/statement.ts` for the rules.
 */

/** Words before a parenthesis that are no functions. */
const WORDS = new Set(
  (
    'ALTER AND AS BY CASE CAST CHECK COLUMN COMMIT CONFLICT COALESCE CREATE DELETE DO DROP ELSE EXISTS FILTER FROM IN INSERT INTO JOIN KEY ' +
    'LATERAL LIKE LIST LIMIT MATERIALIZED NOT ON ONLY OR OVER PARTITION PRIMARY RANGE REFERENCES RETURNING SELECT SET TABLE THEN TRUNCATE ' +
    'UNION ALL UNIQUE UPDATE USING VALUES WHEN WHERE WINDOW WITH'
  ).split(' '),
);

/** Words of the grammar, which no schema is searched for. */
const TYPE_WORDS = new Set([
  'bigint',
  'boolean',
  'integer',
  'int',
  'numeric',
  'smallint',
  'real',
  'double precision',
  'timestamp',
]);

/** Operators that have no sign of their own. */
const HIDDEN: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['NULLIF', /\bNULLIF\b/i],
  ['IS DISTINCT FROM', /\bIS (NOT )?DISTINCT FROM\b/i],
  ['IN', /\b(NOT )?IN\s*\(/i],
  ['ANY or ALL', /\b(ANY|SOME)\s*\(|[^N] ALL\s*\(/i],
  ['BETWEEN', /(?<!ROWS )\bBETWEEN\b/i],
  ['LIKE', /\bI?LIKE\s+_literal_/i],
  ['NATURAL JOIN', /\bNATURAL\b/i],
  ['JOIN … USING', /\bJOIN\b[^;]*?\bUSING\s*\(/i],
  ['CASE x WHEN', /\bCASE\b(?!\s+WHEN\b)/i],
  ['SIMILAR', /\bSIMILAR\b/i],
];

export function searchPathFaults(sql: string): string[] {
  const faults: string[] = [];
  // Literals and names in quotes say nothing; what stands in OPERATOR() is qualified.
  const text = sql
    .replaceAll(/E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'/g, ' _literal_ ')
    .replaceAll(/"(?:[^"]|"")*"/g, 'q_')
    .replaceAll(/OPERATOR\(pg_catalog\.[^)\s]+\)/g, ' ');
  if (/^COPY /.test(text) && !text.includes(';')) return faults;
  // A list of names after a table, or those of a CTE or an alias.
  const plain = text
    .replaceAll(/\bSET \w+ = /g, 'SET ')
    // The next one that it sets, whose value is a parameter alone.
    .replaceAll(/, \w+ = (\$\d+(?:::pg_catalog\.\w+)?\s+WHERE\b)/g, ', $1')
    .replaceAll(/, q_ = EXCLUDED/g, ', EXCLUDED')
    .replaceAll(/,\s+\w+ = \(/g, ', (');
  for (const [name, pattern] of HIDDEN)
    if (pattern.test(plain)) faults.push(`${name} in ${sql.slice(0, 80)}`);
  for (const [operator] of plain
    .replaceAll(/::|\$\d+|(?<=\s)-\d+|\bcount\(\*\)|SELECT \*|\w\.\*|, \*/g, ' ')
    .matchAll(/[=<>+\-*/~!@#%^&|?]+/g)) {
    faults.push(`operator ${operator} in ${sql.slice(0, 80)}`);
  }
  for (const [, type] of plain.matchAll(/::\s*([\w.]+(?: precision)?)/g)) {
    if (!type!.startsWith('pg_catalog.') && !type!.includes('q_') && !TYPE_WORDS.has(type!.toLowerCase())) {
      faults.push(`type ${type} in ${sql.slice(0, 80)}`);
    }
  }
  for (const [call, name] of plain.matchAll(/(?<![\w.])([a-z_]\w*)\s*\((?!\s*$)/gi)) {
    if (WORDS.has(name!.toUpperCase()) || name!.startsWith('q_')) continue;
    const isList = new RegExp(`(WITH|RECURSIVE|,|AS) ${name}\\s*\\([\\w, ]+\\)`, 'i').test(plain);
    if (!isList) faults.push(`function ${call} in ${sql.slice(0, 80)}`);
  }
  for (const [, relation] of plain.matchAll(/\b(?:FROM|JOIN|INTO|UPDATE|TABLE|ONLY)\s+([\w.]+)/gi)) {
    const isQualified = relation!.includes('.') || /\bWITH\b|\bAS\b/.test(plain);
    if (!isQualified && !/^(IF|ONLY|SELECT|SET|STDIN|LATERAL|spillway_\w+)$/i.test(relation!)) {
      faults.push(`table ${relation} in ${sql.slice(0, 80)}`);
    }
  }
  return faults;
}
