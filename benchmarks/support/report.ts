/** Results as a table in Markdown, which reads as well in a terminal. */

import { readFile, writeFile } from 'node:fs/promises';
import type { CandidateResult, ComparisonResult, Ratio } from './comparison.js';
import type { FiguresResult } from './figures.js';
import { machineLine, type Machine } from './machine.js';
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

function figuresTable({ title, header, cells, caption, load, wrong }: FiguresResult): string {
  const lines = align([header, ...cells]);
  return [
    `### ${title}`,
    '',
    ...lines,
    '',
    `${wrong === undefined ? caption : `Wrong: ${wrong}.`} ${loadWords(load)}`,
    '',
  ].join('\n');
}

const loadWords = ([before, after]: readonly [number, number]): string => `Load ${before} to ${after}.`;

function comparisonTable(result: ComparisonResult): string {
  const { title, unit, amount, baseline, rounds, results } = result;
  const byCpu = results.some(({ cpuRatio }) => cpuRatio !== undefined);
  const hasIntervals = results.some(({ ratio }) => ratio?.interval !== undefined);
  const range = hasIntervals ? '95 % interval' : 'min – max';
  const rate = result.perUnit === true ? `ns for one of the ${unit}` : `${unit}/s`;
  const header = ['', `${rate} (median)`, 'min – max', `ratio to ${baseline}`, range];
  if (byCpu) header.push('by processor time', range);
  const remarks = results.map((candidate) => remarkOf(candidate, unit));
  const hasRemarks = remarks.some((remark) => remark !== '');
  if (hasRemarks) header.push('remark');
  const rows = results.map((candidate, place) => [
    ...rowOf(candidate, candidate.name === baseline, byCpu, result.perUnit === true),
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

function rowOf(candidate: CandidateResult, isBaseline: boolean, byCpu: boolean, perUnit: boolean): string[] {
  const { name, missing, wrong, rate, ratio, cpuRatio } = candidate;
  const none = byCpu ? ['', '', '', ''] : ['', ''];
  if (missing !== undefined) return [name, 'not installed', missing, ...none];
  if (wrong !== undefined) return [name, 'wrong', wrong.replaceAll('|', '/'), ...none];
  const { median, min, max } = rate!;
  const cells = perUnit
    ? [name, nanoseconds(median), `${nanoseconds(max)} – ${nanoseconds(min)}`]
    : [name, big(median), `${big(min)} – ${big(max)}`];
  if (isBaseline) return [...cells, '1', ...none.slice(1)];
  if (ratio === undefined) return [...cells, 'no baseline', ...none.slice(1)];
  return [...cells, ...shown(ratio), ...(cpuRatio === undefined ? [] : shown(cpuRatio))];
}

function shown({ median, min, max, interval }: Ratio): [string, string] {
  if (interval === undefined) return [median.toFixed(2), `${min.toFixed(2)} – ${max.toFixed(2)}`];
  const [low, high] = interval;
  return [median.toFixed(3), `${low.toFixed(3)} – ${high.toFixed(3)}`];
}

/** @param rate units per second */
const nanoseconds = (rate: number): string => (1e9 / rate).toFixed(1);

function big(rate: number): string {
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(2)} M`;
  return rate >= 1e3 ? `${(rate / 1e3).toFixed(1)} k` : rate.toFixed(1);
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)];
}
