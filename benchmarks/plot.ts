/** `npm run bench:plot -- RESULTS.json FOLDER`: draws the main comparisons of a run as SVG. The same results give the same picture. */

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { barChart, barsOf, comparisonOf, type SavedResults } from './support/bar-chart.js';
import { machineLine } from './support/machine.js';

const MAIN = ['copy-objects', 'engines', 'load-csv'];

const [file, folder] = process.argv.slice(2);
if (file === undefined || folder === undefined) {
  process.stderr.write('usage: npm run bench:plot -- RESULTS.json FOLDER\n');
  process.exitCode = 2;
} else {
  const saved = JSON.parse(await readFile(file, 'utf8')) as SavedResults;
  for (const name of MAIN.filter((name) => Object.hasOwn(saved.results, name))) {
    const { title, baseline } = comparisonOf(saved.results, name);
    const picture = barChart(
      `${title}: ratio to ${baseline}`,
      machineLine(saved.machine),
      barsOf(saved, name),
    );
    const target = path.join(folder, `${name}.svg`);
    await writeFile(target, picture);
    process.stdout.write(`${target}\n`);
  }
}
