/** Rewrites records whose fields are not all as the server reads them: as COPY's text format. */

import { escapeText } from '../../postgres/encoding/text/chunk-writer.js';
import { decodeUtf8 } from '../common/text.js';
import { CARRIAGE_RETURN } from '../../common/bytes.js';
import type { CsvOptions } from './csv-reader.js';
import type { FieldFit } from './field-fit.js';
import type { FieldRuleSet } from './field-rules.js';
import { RecordFields, type CsvField } from './record-fields.js';

export interface RewriteOptions extends Pick<CsvOptions, 'delimiter' | 'nullText' | 'otherNulls'> {
  readonly rules: FieldRuleSet;
  readonly fit: FieldFit | undefined;
}

/**
 * @param records whole ones, each with as many fields as there are columns
 * @returns undefined if a field does not fit its rule, or its column's type: then rows say which
 */
export function rewriteRecords(
  records: Buffer,
  { delimiter, nullText, otherNulls, rules, fit }: RewriteOptions,
): Buffer | undefined {
  const hasReturns = records.includes(CARRIAGE_RETURN);
  const fields = new RecordFields(decodeUtf8(records), delimiter, nullText, hasReturns, otherNulls);
  let text = '';
  while (!fields.isAtEnd) {
    const row = fields.next();
    if (!rules.rewrite(row) || (fit !== undefined && fit.misfit(row) !== -1)) return undefined;
    text += lineOf(row);
  }
  return Buffer.from(text);
}

function lineOf(row: readonly CsvField[]): string {
  let line = '';
  for (let place = 0; place < row.length; place += 1) {
    const field = row[place] ?? null;
    line += `${place === 0 ? '' : '\t'}${field === null ? '\\N' : escapeText(field)}`;
  }
  return `${line}\n`;
}
