/** The recipe of the guide, as it stands there: a sink whose outage was too long is replaced, and nothing is lost. */

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BackpressureWritable, type FlushFunction } from '../../src/index.js';
import { range } from '../support/range.js';

const guide = readFileSync(new URL('../../src/postgres/README.md', import.meta.url), 'utf8');
const recipe = /^```js revive\n([\s\S]*?)^```$/m.exec(guide)![1]!;

interface Recipe {
  write: (event: number) => boolean;
  current: () => BackpressureWritable<number>;
}

/** Runs the recipe with other things under the names that it imports. */
async function run(stubs: object): Promise<Recipe> {
  const code = recipe.replaceAll(/^import .*$/gm, '');
  Object.assign(globalThis, { recipeStubs: stubs });
  const head = `const { ${Object.keys(stubs).join(', ')} } = globalThis.recipeStubs;`;
  const module = `${head}\n${code}\nexport const current = () => sink;`;
  return (await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(module)}`)) as Recipe;
}

it('revives a failed sink, again and again, with what it returned', async () => {
  let isDown = true;
  const stored: number[] = [];
  const flush: FlushFunction<number> = async (events) => {
    if (isDown) throw new Error('connection refused');
    stored.push(...events);
  };
  const breaker = { failures: 1, minDelayMs: 1, maxDelayMs: 5, maxOutageMs: 60 };
  const defaults = { batchSize: 10, retry: { attempts: 5 }, breaker };
  const copyInto = () => Object.assign((...call: Parameters<typeof flush>) => flush(...call), { defaults });
  const failures: string[] = [];
  const { write, current } = await run({
    BackpressureWritable,
    copyInto,
    pool: {},
    console: { error: (message: string) => failures.push(message) },
  });
  const first = current();
  for (const event of range(9_000, 1)) write(event);
  await expect.poll(() => failures.length).toBeGreaterThan(2);
  isDown = false;
  await expect.poll(() => stored.length).toBe(9_000);
  expect(current()).not.toBe(first);
  expect(stored).toEqual(range(9_000, 1));
  await new Promise<void>((resolve) => current().end(resolve));
});
