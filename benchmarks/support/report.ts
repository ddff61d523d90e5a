/** Results as a table in Markdown, which reads as well in a terminal. */

import { readFile, writeFile } from 'node:fs/promises';
import type { CandidateResult, ComparisonResult } from './comparison.js';
import type { FiguresResult } from './figures.js';
import { machineLine, type Machine } from './machine.js';
import type { Spread } from './statistics.js';
import { lossesOf } from './losses.js';

export type Result = ComparisonResult | FiguresResult;

/** What another project's engine gets wrong is a result like any other, but not that it cannot be run: then we call it wrongly. */
export function isFaulty(result: Result): boolean {
  if ('cells' in result) return result.wrong !== undefined;
  return result.results.some(
    ({ wrong, isBroken, isPeer }) => wrong !== undefined && (isBroken === true || isPeer !== true),
  );
}

export function tableOf(result: Result): string {
  return 'cells' in result ? figuresTable(result) : comparisonTable(result);
}

function figuresTable({ title, header, cells, caption, load }: FiguresResult): string {
  const lines = align([header, ...cells]);
  return [`### ${title}`, '', ...lines, '', `${caption} ${loadWords(load)}`, ''].join('\n');
}

const loadWords = ([before, after]: readonly [number, number]): string => `Load ${before} to ${after}.`;

function comparisonTable(result: ComparisonResult): string {
  const { title, unit, amount, baseline, rounds, results } = result;
  const byCpu = results.some(({ cpuRatio }) => cpuRatio !== undefined);
  const header = ['', `${unit}/s (median)`, 'min – max', `ratio to ${baseline}`, 'min – max'];
  if (byCpu) header.push('by processor time', 'min – max');
  const remarks = results.map((candidate) => remarkOf(candidate, unit));
  const hasRemarks = remarks.some((remark) => remark !== '');
  if (hasRemarks) header.push('remark');
  const rows = results.map((candidate, place) => [
    ...rowOf(candidate, candidate.name === baseline, byCpu),
    ...(hasRemarks ? [remarks[place]!] : []),
  ]);
  const caption = `${amount.toLocaleString('en-GB')} ${unit} a run, ${rounds} rounds. ${loadWords(result.load)}`;
  const losses = lossesOf(result);
  return [
    `### ${title}`,
    '',
    ...align([header, ...rows]),
    '',
    caption,
    '',
    ...(losses === undefined ? [] : [losses, '']),
  ].join('\n');
}

function remarkOf({ amount, remark }: CandidateResult, unit: string): string {
  const fewer = amount === undefined ? [] : [`on ${amount.toLocaleString('en-GB')} ${unit}`];
  return [...fewer, ...(remark === undefined ? [] : [remark])].join('; ');
}

const PAGE = new URL('../README.md', import.meta.url);

/** @throws {Error} where the page has no place for the results of one of them: better before hours of work than after. */
export async function assertPlaces(names: readonly string[]): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  for (const name of names) placeOf(page, name);
}

/** Puts the tables of a benchmark where the page keeps its results, in place of the ones before. */
export async function saveTables(name: string, machine: Machine, results: readonly Result[]): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const [from, to] = placeOf(page, name);
  const tables = [`${name}: ${machineLine(machine)}.\n`, ...results.map(tableOf)].join('\n');
  await writeFile(PAGE, `${page.slice(0, from)}\n${tables}\n${page.slice(to)}`);
}

/** Between the two marks of a benchmark. */
function placeOf(page: string, name: string): [from: number, to: number] {
  const begin = `<!-- results: ${name} -->\n`;
  const start = page.indexOf(begin);
  const to = page.indexOf('<!-- end -->', start);
  if (start === -1 || to === -1) throw new Error(`README.md has no place for the results of ${name}`);
  return [start + begin.length, to];
}

function rowOf(candidate: CandidateResult, isBaseline: boolean, byCpu: boolean): string[] {
  const { name, missing, wrong, rate, ratio, cpuRatio } = candidate;
  const none = byCpu ? ['', '', '', ''] : ['', ''];
  if (missing !== undefined) return [name, 'not installed', missing, ...none];
  if (wrong !== undefined) return [name, 'wrong', wrong.replaceAll('|', '/'), ...none];
  const cells = [name, ...shown(rate!, big)];
  if (isBaseline) return [...cells, '1', ...none.slice(1)];
  if (ratio === undefined) return [...cells, 'no baseline', ...none.slice(1)];
  return [...cells, ...shown(ratio, small), ...(cpuRatio === undefined ? [] : shown(cpuRatio, small))];
}

function shown({ median, min, max }: Spread, show: (value: number) => string): [string, string] {
  return [show(median), `${show(min)} – ${show(max)}`];
}

function big(rate: number): string {
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(2)} M`;
  return rate >= 1e3 ? `${(rate / 1e3).toFixed(1)} k` : rate.toFixed(1);
}

const small = (ratio: number): string => ratio.toFixed(2);

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)];
}
