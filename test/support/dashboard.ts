/** The queries of the Grafana dashboard. */

import { readFileSync } from 'node:fs';

interface Dashboard {
  panels: { title: string; targets?: { expr: string }[] }[];
}

/** @returns the expressions, with values for their variables */
export function dashboardQueries(interval: string): string[] {
  const file = new URL('../../src/opentelemetry/dashboard.json', import.meta.url);
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as Dashboard;
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  return queries.map((query) =>
    query.replaceAll('$__rate_interval', interval).replaceAll(/\$(job|instance|name)/g, '.*'),
  );
}
