/** What is wrong with a record that the splitter has rejected, and what helps. Pure. */

import { CARRIAGE_RETURN, LINE_FEED, QUOTE } from '../../common/bytes.js';
import { count } from '../common/counted.js';
import type { SplitFault } from '../input/splitter.js';
import { NESTED_TOO_DEEPLY, tooLong } from './block-reader.js';
import { mostValues, type WeightFault } from './record-weight.js';

export interface SplitRecord {
  /** From the beginning of the record on; it may be cut off. */
  readonly line: Buffer;
  /** Undefined for JSON. */
  readonly delimiter: string | undefined;
  readonly maxRecordBytes: number;
}

const NO_QUOTES = '--quote none takes quotes for a part of the text';

export function reasonOf(fault: SplitFault | WeightFault, record: SplitRecord): string {
  const { line, delimiter, maxRecordBytes } = record;
  const field = delimiter === undefined ? undefined : fieldAtFault(line, delimiter, fault);
  const place = field === undefined ? '' : ` (field ${field})`;
  switch (fault) {
    case 'too_many_values':
      return `the record has more than ${count(mostValues(maxRecordBytes))} values and keys (one for each 16 bytes of --max-record-bytes)`;
    case 'too_deep':
      return NESTED_TOO_DEEPLY;
    case 'too_long':
      return tooLong(maxRecordBytes);
    case 'too_long_open_quote':
      return `${tooLong(maxRecordBytes)} (is a quote left open?); ${NO_QUOTES}`;
    case 'open_quote':
      return `a quote is not closed before the end of the file${place}; ${NO_QUOTES}`;
    case 'text_after_quote':
      return `text follows a closing quote${place}; a quote inside quotes must be doubled, --escape names another character before it, and ${NO_QUOTES}`;
    case 'quote_in_field':
      return `a quote stands inside an unquoted field${place}; quote the whole field and double the quote; ${NO_QUOTES}`;
  }
}

/** Returns the number of the field whose quotes are wrong, counted from 1; undefined if it is not on this line. */
function fieldAtFault(line: Buffer, delimiter: string, fault: SplitFault | WeightFault): number | undefined {
  const delimiterCode = delimiter.charCodeAt(0);
  let [field, opened] = [1, 1];
  let place: 'start' | 'plain' | 'quoted' | 'closed' | 'ended' = 'start';
  for (const byte of line) {
    if (place === 'quoted') {
      if (byte === LINE_FEED) break;
      if (byte === QUOTE) place = 'closed';
    } else if (place === 'ended' && byte !== LINE_FEED) return field;
    else if (byte === LINE_FEED) return undefined;
    else if (byte === delimiterCode) {
      field += 1;
      place = 'start';
    } else if (byte === QUOTE) {
      if (place === 'plain') return field;
      if (place === 'start') opened = field;
      place = 'quoted';
    } else if (place === 'start') place = 'plain';
    else if (place === 'closed') {
      if (byte !== CARRIAGE_RETURN) return field;
      place = 'ended';
    }
  }
  return fault === 'open_quote' ? opened : undefined;
}
