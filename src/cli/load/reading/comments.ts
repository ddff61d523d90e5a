/** Finds out whether lines of the table may be comments. */

import type { LoadOptions } from '../../args/options.js';
import { NUMBER_SIGN } from '../../../common/bytes.js';
import { MOST_RECORDS } from '../../detect/candidates.js';
import type { Reading } from '../../detect/reading.js';
import { isComment, readSample, type Sample } from '../../detect/sample-records.js';

const LEFT_OUT =
  'lines that begin with # and have another number of fields than the table are left out; --comment none keeps them';

/** Unless `--comment` says it: whether the file has comments, and what to tell of them. */
export function commentsIn(
  bytes: Buffer,
  isWhole: boolean,
  reading: Reading,
  { flags, pad }: LoadOptions,
): { hasComments: boolean; notes: string[] } {
  const nothing = { hasComments: false, notes: [] };
  if (flags.comment !== undefined || !bytes.includes(NUMBER_SIGN)) return nothing;
  const { encoding, skip, header, fieldCount, lineBreak } = reading;
  const text = new TextDecoder(encoding.startsWith('utf-32') ? 'utf-8' : encoding).decode(bytes);
  // Most files with a # have it within their values.
  if (!/(?:^|[\r\n])#/.test(text)) return nothing;
  const sample: Sample = { text, isWhole, lineBreak };
  const records = readSample(sample, reading, MOST_RECORDS).filter(({ line }) => line >= skip);
  const isWithin = records
    .slice(header ? 1 : 0)
    .some((record) => isComment(record, '#') && record.fields.length !== fieldCount);
  const isBefore = skip > 0 && text.split(/\r\n?|\n/, skip).some((line) => line.startsWith('#'));
  return { hasComments: isWithin || isBefore, notes: isWithin && !pad ? [LEFT_OUT] : [] };
}
