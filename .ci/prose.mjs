/**
 * Checks prose. In all Markdown: sentences of at most 30 words. In Markdown, sources, tests and benchmarks, code included: none of the words
 * that are replaced by the field's own. Prints each place, and exits with 1 if there is one.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const MOST_WORDS = 30;

/** What a reader outside of this project would have to look up or to solve, and what to write instead. */
const REPLACED_WORDS = [
  [/\bclearances?\b/i, 'admission credit'],
  [/\bshort way\b/i, 'fast path'],
  [/\blong way\b/i, 'slow path'],
  [/\bload way\b/i, 'pipeline'],
  [/\bmilestones?\b/i, 'flush waiters'],
  [/\bunheeded\b/i, 'headroom'],
  [/\bheeds\b/i, 'observes'],
  [/\bproducer gate\b/i, 'write side'],
  [/\bcall gate\b/i, 'call permits'],
  [/\bhand(s|ed|ing)? over\b/i, 'pass to onFailed'],
  [/\bhand(s|ed|ing)? back\b/i, 'return to the caller'],
  [/\bpatience\b/i, 'answer deadline'],
  [/\bland(s|ed|ing)?\b/i, 'insert'],
  [/\bsuspects?\b/i, 'candidates'],
  [/\bsecond chance\b/i, 'retry of rejected rows'],
  [/\byoung space\b/i, 'semi-space'],
  [/\bkept shapes?\b/i, 'pinned hidden class'],
  [/\bwhoever\b/i, 'who, or a noun'],
  [/\bbe it\b/i, 'even, or a condition with "if"'],
  [/\banew\b/i, 'again'],
  [/\bas ever\b/i, 'nothing'],
  [/\bin vain\b/i, 'without success'],
];

const files = execFileSync('git', ['ls-files', '*.md', '*.ts'], { encoding: 'utf8' })
  .split('\n')
  .filter(Boolean);
let faults = 0;

function report(file, line, text) {
  faults += 1;
  console.error(`${file}:${line}: ${text}`);
}

/** Sentences of a paragraph or of a table's cell. Code counts as one word, because it is read as one. */
function sentencesOf(text) {
  return text
    .replace(/`[^`]*`/g, 'code')
    .replace(/\]\([^)]*\)/g, ']')
    .split(/(?<=[.!?:;])\s+/)
    .map((sentence) => sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)));
}

/** Blocks of prose, each with the line on which it begins: paragraphs, items of lists and cells of tables. No code. */
function* blocksOf(source) {
  let isCode = false;
  let block = { line: 0, text: '' };
  for (const [index, line] of source.split('\n').entries()) {
    const isFence = /^\s*```/.test(line);
    const isTable = line.startsWith('|');
    const begins = isFence || isTable || line.trim() === '' || /^(#|\s*([-*]|\d+\.)\s)/.test(line);
    if (begins && block.text !== '') {
      yield block;
      block = { line: 0, text: '' };
    }
    if (isFence) isCode = !isCode;
    else if (isTable && !isCode) {
      for (const cell of line.split(/(?<!\\)\|/)) yield { line: index + 1, text: cell };
    } else if (!isCode && line.trim() !== '') {
      block = { line: block.line || index + 1, text: `${block.text} ${line}` };
    }
  }
  if (block.text !== '') yield block;
}

for (const file of files) {
  const source = readFileSync(file, 'utf8');
  for (const [index, line] of source.split('\n').entries()) {
    for (const [word, better] of REPLACED_WORDS) {
      const found = word.exec(line);
      if (found !== null) report(file, index + 1, `"${found[0]}": better "${better}"`);
    }
  }
  if (!file.endsWith('.md')) continue;
  for (const { line, text } of blocksOf(source)) {
    for (const words of sentencesOf(text)) {
      if (words.length > MOST_WORDS) {
        report(file, line, `a sentence of ${words.length} words: ${words.slice(0, 8).join(' ')} …`);
      }
    }
  }
}
if (faults > 0) {
  console.error(`${faults} places`);
  process.exit(1);
}
