/**
 * `npm run bench:plot -- RESULTS.json … FOLDER`: draws the main comparisons of one or several runs as SVG. The same results give the same
 * picture.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { draw, type SavedResults } from './support/pictures.js';

const files = process.argv.slice(2);
const folder = files.pop();
if (folder === undefined || files.length === 0) {
  process.stderr.write('usage: npm run bench:plot -- RESULTS.json … FOLDER\n');
  process.exitCode = 2;
} else {
  await mkdir(folder, { recursive: true });
  for (const file of files) {
    const saved = JSON.parse(await readFile(file, 'utf8')) as SavedResults;
    for (const { name, picture } of draw(saved)) {
      const target = path.join(folder, `${name}.svg`);
      await writeFile(target, picture);
      process.stdout.write(`${target}\n`);
    }
  }
}
