import { expect, it } from 'vitest';
import { runScript } from '../support/script.js';

/** Mock timers of `node:test` replace setTimeout, but not performance.now(). */
const MOCKED = `
  import { mock } from 'node:test';
  process.removeAllListeners('warning');
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const enable = () => mock.timers.enable({ apis: ['setTimeout'] });
  const tick = async (ms) => { await turn(); mock.timers.tick(ms); await turn(); await turn(); };
`;

it.each([
  [
    'a writable flushes at its interval, each time',
    `enable();
     const sink = new BackpressureWritable(async (items) => say(items.join('+')));
     for (const item of ['a', 'b', 'c']) { sink.write(item); await tick(50); say("wait"); await tick(50); }
     process.exit();`,
    ['wait', 'a', 'wait', 'b', 'wait', 'c'],
  ],
  [
    'a sink that ran before flushes at its interval, too',
    `const sink = new BackpressureController(async (items) => say(items.join('+')));
     sink.start();
     await sink.push('real'); await sink.flush();
     enable();
     for (const item of ['a', 'b']) { await sink.push(item); await tick(100); }
     process.exit();`,
    ['real', 'a', 'b'],
  ],
  [
    'a flush times out, and a retry comes after its delay',
    `enable();
     const sink = new BackpressureWritable((items, { signal }) => new Promise((resolve, reject) => {
       say('call');
       signal.addEventListener('abort', () => say('abort') ?? reject(Object.assign(new Error('late'), { retryable: true })));
     }), { flushTimeoutMs: 30_000, batchSize: 1, random: () => 0.999, retry: { attempts: 3, minDelayMs: 1_000 } });
     sink.on('error', () => undefined);
     sink.write(1);
     await turn();
     await tick(29_000); say("wait"); await tick(1_000); say('retry'); await tick(900); say("wait"); await tick(99);
     process.exit();`,
    ['call', 'wait', 'abort', 'retry', 'wait', 'call'],
  ],
  [
    'what waited when the mocks were reset is flushed by real timers',
    `enable();
     const sink = new BackpressureWritable(async (items) => say(items.join('+')));
     sink.write('a'); await turn();
     mock.timers.reset();
     sink.write('b');
     const start = performance.now();
     await new Promise((resolve) => setTimeout(resolve, 300));
     process.exit();`,
    ['a+b'],
  ],
])('beside the mock timers of node:test: %s', async (_name, script, words) => {
  expect(await runScript(MOCKED + script)).toMatchObject({ words: [...words, 'exit'], code: 0 });
});
