/** What a PostgreSQL of a test's own writes into its log, read by the server itself. Start it with `LOG_SETTINGS`. */

import pg from 'pg';

export const LOG_SETTINGS: Readonly<Record<string, string>> = {
  logging_collector: 'on',
  log_destination: 'csvlog',
  log_directory: 'log',
  log_filename: 'all.log',
  log_rotation_size: '0',
  log_rotation_age: '0',
};

export interface LogEntry {
  readonly user: string;
  readonly application: string;
  readonly message: string;
  readonly detail: string | null;
  readonly context: string | null;
  readonly query: string | null;
}

/** @param url a superuser's, to a database with nothing in it @param since what `logTime` has returned */
export async function readServerLog(url: string, since: string, database: string): Promise<LogEntry[]> {
  return withClient(url, async (client) => {
    await client.query(`CREATE TEMPORARY TABLE log (
      log_time timestamptz, user_name text, database_name text, process_id int, connection_from text, session_id text,
      session_line_num bigint, command_tag text, session_start_time timestamptz, virtual_transaction_id text, transaction_id bigint,
      error_severity text, sql_state_code text, message text, detail text, hint text, internal_query text, internal_query_pos int,
      context text, query text, query_pos int, location text, application_name text, backend_type text, leader_pid int, query_id bigint)`);
    await client.query(`COPY log FROM 'log/all.csv' WITH (FORMAT csv)`);
    const { rows } = await client.query<LogEntry>(
      `SELECT user_name AS user, application_name AS application, message, detail, context, query
      FROM log WHERE log_time >= $1 AND database_name = $2`,
      [since, database],
    );
    return rows;
  });
}

export function logTime(url: string): Promise<string> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ now: string }>(
      `SELECT date_trunc('milliseconds', clock_timestamp())::text AS now`,
    );
    return rows[0]!.now;
  });
}

export async function withClient<Result>(
  url: string,
  use: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
