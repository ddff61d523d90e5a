/** How the input of a load is read, once its beginning was looked at. */

import type { LoadOptions } from '../../args/options.js';
import type { FieldRules } from '../../csv/field-rules.js';
import type { Reading } from '../../detect/reading.js';
import type { JsonReading } from '../../json/json-reading.js';
import type { ParquetReading } from '../../parquet/parquet-reading.js';
import type { InputName } from '../../table/input-names.js';

/** How the input is read: what was detected, or what the files say themselves. */
export type InputFormatReading = Reading | JsonReading | ParquetReading;

export interface InputReading {
  /** With what was detected in the place of the defaults. */
  readonly options: LoadOptions;
  /** Undefined if nothing was detected. */
  readonly reading: InputFormatReading | undefined;
  /** `--import`: of the first run. */
  readonly rules?: FieldRules | undefined;
  /** Names of columns that were repaired. */
  readonly notes?: readonly string[] | undefined;
  /** The columns with their types, if the files say them. */
  readonly columns?: readonly InputName[] | undefined;
}
