/** What `consume` uses of `load`. Its program takes it from that of `load`: built in twice, it would make the package larger. */

export { AbortFault } from '../../postgres/connection/answer-deadline.js';
export { showImportId } from '../../postgres/imports/import-id.js';
export { SourceChanged } from '../../postgres/imports/import-errors.js';
export { laneTables } from '../../postgres/lanes/lane-tables.js';
export { messageOf } from '../../common/thrown.js';
export { showTable } from '../args/table-name.js';
export { count, counted, mebibytes } from '../common/counted.js';
export { causesOf, CliError, ExitCode, isCliError, oneLine, UsageError } from '../common/errors.js';
export { mostSimilar } from '../common/similar-names.js';
export { onStopSignal } from '../common/stop-signal.js';
export { printable, writeJson, writeLine } from '../common/terminal.js';
export { startProgress } from '../live/progress.js';
export { WAITED_FOR } from '../live/reading.js';
export { readObject } from '../ndjson/rows/ndjson-reader.js';
export { RecordColumns } from '../ndjson/rows/ndjson-rows.js';
export { NESTED_TOO_DEEPLY } from '../records/block-reader.js';
export { peakMemoryBytes } from '../report/load-json.js';
export { PageFile, textOf } from '../report/page-file.js';
export { checkOutput } from '../rejects/output-check.js';
export { farewell, untilStopped } from '../server/answer-time.js';
export { connect } from '../server/connection.js';
export { resolveDestination } from '../server/destination.js';
export { withMissingRights } from '../server/missing-rights.js';
export { CreatedTable } from '../table/created-table.js';
export { assertGivenTypes } from '../table/given-types.js';
export { RecordKeys } from '../table/preview.js';
export { columnsFor, findTable, firstCut, keyColumns, nameNotes, throwMissingTable } from '../table/table.js';
