/** The recipes of the guide, as they stand there: SIGTERM, and everything is delivered. */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runService, signals } from '../support/service.js';

const guide = readFileSync(new URL('../../src/shutdown/README.md', import.meta.url), 'utf8');
const recipes = new Map(
  [...guide.matchAll(/^```js ([\w-]+)\n([\s\S]*?)^```$/gm)].map(([, name, code]) => [name!, code!]),
);

describe.concurrent('the guide to shutdown', () => {
  it('has a recipe for each neighbour', () => {
    expect([...recipes.keys()]).toEqual(['nestjs', 'fastify', 'close-with-grace', 'worker', 'kubernetes']);
  });

  it.each([...recipes].flatMap(([name, code]) => (name === 'worker' ? ['SIGTERM' as const] : (['SIGTERM', 'SIGINT'] as const)).map((signal) => [name, signal, code] as const)))(
    '%s, %s: everything is delivered',
    async (name, signal, code) => {
      const end = await runService(
        `import { isMainThread } from 'node:worker_threads';
         const isWorker = ${name === 'worker'};
         ${name === 'worker' ? 'if (isMainThread) setTimeout(ready, 2_500);' : ''}
         await import('./recipe.mjs');
         if (!isWorker) { const { sink } = await import('./sink.mjs'); fill(sink); ready(); }`,
        {
          onReady: signals([0, signal]),
          wrap: (command, folder) => {
            write(folder, name, code);
            return command;
          },
        },
      );
      expect(end.stderr).toBe('');
      expect(end).toMatchObject({ accepted: 1_000, delivered: 1_000, lines: 0 });
      expect(end.stdout).toContain('0 undelivered');
      if (name === 'close-with-grace' || name === 'worker') expect(end.code).toBe(0);
      else expect(end.signal).toBe(signal);
    },
  ); // prettier-ignore
});

function write(folder: string, name: string, code: string): void {
  const source = new URL('../../src/index.ts', import.meta.url).href;
  const inWorker = "new Worker(`import('tsx/esm/api').then(({ register }) => { register(); return import('${import.meta.url}?worker'); })`, { eval: true })";
  const runnable = code.replaceAll("'spillway'", `'${source}'`).replace('new Worker(new URL(import.meta.url))', inWorker);
  writeFileSync(path.join(folder, 'recipe.mjs'), runnable);
  writeFileSync(
    path.join(folder, 'sink.mjs'),
    `import { appendFileSync } from 'node:fs';
     import { BackpressureWritable } from '${source}';
     export const sink = new BackpressureWritable(async (items) => {
       await new Promise((resolve) => setTimeout(resolve, 20));
       appendFileSync(process.env.NOTES, 'delivered ' + items.length + '\\n');
     });
     ${name === 'worker' ? "for (let item = 0; item < 1_000; item++) sink.write(item); appendFileSync(process.env.NOTES, 'accepted 1000\\\\n');".replace('\\\\', '\\') : ''}`,
  );
} // prettier-ignore
