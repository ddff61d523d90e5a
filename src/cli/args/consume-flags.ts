/** The flags of `consume`, and what follows from what. A new flag is a line here. Pure. */

import { UsageError } from '../common/errors.js';
import { CONSUME_HELP, LOAD_HELP } from './help.js';
import { createFlagOption, type Flag, type FlagOption } from './load-flags.js';
import { checkConflict, checkTypes } from './option-relations.js';
import {
  collectType,
  integer,
  notEmpty,
  parseDuration,
  parseFilter,
  parseImportId,
  parseKey,
  parseReport,
  parseStart,
  parseTable,
  parseTableInSchema,
} from './option-values.js';
import { CONFLICT_ACTIONS, type ConsumeFlags } from './options.js';

const MOST_CONNECTIONS = 100;
const LARGEST_BATCH_SIZE = 1_000_000;
const LARGEST_LANE = 100_000_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SHORTEST_LEASE_MS = 1_000;

const CONSUME_FLAGS: readonly Flag[] = [
  { flags: '-s, --stream <name>', help: CONSUME_HELP.stream, parse: notEmpty },
  { flags: '--filter <subject>', help: CONSUME_HELP.filter, parse: parseFilter },
  { flags: '-t, --table <name>', help: LOAD_HELP.table, parse: parseTable },
  { flags: '--import <id>', help: CONSUME_HELP.import, parse: parseImportId },
  { flags: '--to <url>', help: LOAD_HELP.to, parse: notEmpty },
  { flags: '--from <start>', help: CONSUME_HELP.from, parse: parseStart },
  { flags: '--until-caught-up', help: CONSUME_HELP.untilCaughtUp },
  { flags: '--columns <a,b,…>', help: CONSUME_HELP.columns, parse: parseKey },
  { flags: '--create', help: CONSUME_HELP.create },
  { flags: '--type <column=type>', help: CONSUME_HELP.type, parse: collectType, repeats: true },
  { flags: '--on-conflict <action>', help: CONSUME_HELP.onConflict, choices: CONFLICT_ACTIONS },
  { flags: '--key <a,b,…>', help: LOAD_HELP.key, parse: parseKey },
  { flags: '--dead-letter <table>', help: CONSUME_HELP.deadLetter, parse: parseTableInSchema },
  { flags: '--dead-letter-subject <subject>', help: CONSUME_HELP.deadLetterSubject, parse: notEmpty },
  {
    flags: '--max-rejects <n>',
    help: CONSUME_HELP.maxRejects,
    parse: integer(0, Number.MAX_SAFE_INTEGER),
  },
  { flags: '--allow-gaps', help: CONSUME_HELP.allowGaps },
  { flags: '--connections <n>', help: CONSUME_HELP.connections, parse: integer(1, MOST_CONNECTIONS) },
  { flags: '--batch-size <messages>', help: CONSUME_HELP.batchSize, parse: integer(1, LARGEST_BATCH_SIZE) },
  { flags: '--flush-interval <time>', help: CONSUME_HELP.flushInterval, parse: parseDuration(0, HOUR_MS) },
  { flags: '--lease <time>', help: CONSUME_HELP.lease, parse: parseDuration(SHORTEST_LEASE_MS, HOUR_MS) },
  { flags: '--max-outage <time>', help: CONSUME_HELP.maxOutage, parse: parseDuration(0, DAY_MS) },
  { flags: '--lane-size <n>', help: CONSUME_HELP.laneSize, parse: integer(1, LARGEST_LANE) },
  { flags: '--creds <file>', help: CONSUME_HELP.creds, parse: notEmpty },
  { flags: '--nkey <file>', help: CONSUME_HELP.nkey, parse: notEmpty },
  { flags: '--tlsca <file>', help: CONSUME_HELP.tlsca, parse: notEmpty },
  { flags: '--tlscert <file>', help: CONSUME_HELP.tlscert, parse: notEmpty },
  { flags: '--tlskey <file>', help: CONSUME_HELP.tlskey, parse: notEmpty },
  { flags: '--domain <name>', help: CONSUME_HELP.domain, parse: notEmpty },
  { flags: '--report <file>', help: CONSUME_HELP.report, parse: parseReport },
  { flags: '--json', help: LOAD_HELP.json },
  { flags: '-q, --quiet', help: LOAD_HELP.quiet },
];

/** Makes commander's options of the table. */
export function createConsumeOptions(): FlagOption[] {
  return CONSUME_FLAGS.map((flag) => createFlagOption(flag));
}

/** What was given, by commander's names. */
export type GivenConsumeFlags = Partial<Omit<ConsumeFlags, 'servers' | 'types'>> & {
  type?: ConsumeFlags['types'];
};

const NEEDED = { stream: '-s, --stream <name>', table: '-t, --table <name>', import: '--import <id>' };

/** @throws {UsageError} for flags that are missing, or that need or exclude each other */
export function createConsumeFlags(servers: string[], given: GivenConsumeFlags): ConsumeFlags {
  const { type = {}, ...plain } = given;
  const { stream, table, import: importId } = given;
  // Not left to the parser, which would miss them before it has seen that an option is misspelt.
  if (stream === undefined || table === undefined || importId === undefined) {
    const [flag] = Object.entries(NEEDED).find(([name]) => given[name as keyof typeof NEEDED] === undefined)!;
    throw new UsageError(`required option '${NEEDED[flag as keyof typeof NEEDED]}' not specified`);
  }
  const flags: ConsumeFlags = {
    ...NOT_GIVEN,
    ...plain,
    ...{ servers, stream, table, import: importId, types: type },
  };
  checkRelations(flags);
  return flags;
}

const NOT_GIVEN = {
  filter: undefined,
  domain: undefined,
  creds: undefined,
  nkey: undefined,
  tlsca: undefined,
  tlscert: undefined,
  tlskey: undefined,
  to: undefined,
  columns: undefined,
  create: false,
  from: undefined,
  untilCaughtUp: false,
  allowGaps: false,
  onConflict: 'error',
  key: undefined,
  deadLetter: 'spillway_dead_letters',
  deadLetterSubject: undefined,
  maxRejects: undefined,
  connections: undefined,
  batchSize: undefined,
  flushInterval: undefined,
  lease: undefined,
  maxOutage: undefined,
  laneSize: undefined,
  report: undefined,
  json: false,
  quiet: false,
} as const satisfies Partial<ConsumeFlags>;

function checkRelations(flags: ConsumeFlags): void {
  const { creds, nkey, tlscert, tlskey } = flags;
  checkTypes(flags);
  checkConflict(flags);
  if (creds !== undefined && nkey !== undefined)
    throw new UsageError('--creds and --nkey exclude each other: a connection has one identity');
  if ((tlscert === undefined) !== (tlskey === undefined))
    throw new UsageError('--tlscert and --tlskey belong together: a certificate and its key');
}
