import { describe, expect, it } from 'vitest';
import { runScript } from '../../support/script.js';

async function run(script: string): Promise<{ words: string[]; code: number | null }> {
  const { words, code } = await runScript(script);
  return { words, code };
}

describe.concurrent('a process exits by itself when its streams are idle', () => {
  it.each([
    ['never written to', 'new BackpressureWritable(async () => {});'],
    ['a transform that nobody reads', 'new BackpressureTransform();'],
    [
      'after finish',
      "const s = new BackpressureWritable(async () => say('flush')); s.on('finish', () => say('finish')); s.end(1);",
      'flush',
      'finish',
    ],
    [
      'with a signal that never fires',
      'new BackpressureWritable(async () => {}, { signal: new AbortController().signal });',
    ],
    [
      'open, everything settled',
      "const s = new BackpressureWritable(async () => say('flush'), { flushTimeoutMs: 1e9 }); s.write(1); await s.flush();",
      'flush',
    ],
    [
      'destroyed with a flush that never answers',
      `const s = new BackpressureWritable(() => new Promise(() => say('flush')), { batchSize: 1, abortGraceMs: 50 });
       s.on('error', (error) => say(error.code)).on('close', () => say('close'));
       s.write(1); setTimeout(() => s.destroy(), 20);`,
      'flush',
      'ERR_BACKPRESSURE_ABORTED',
      'close',
    ],
  ])('%s', async (_name, script, ...words) => {
    expect(await run(script)).toEqual({ words: [...words, 'exit'], code: 0 });
  });
});

describe.concurrent('a process stays alive while items are unsettled', () => {
  it.each([
    [
      'queued, until the interval is over',
      "const s = new BackpressureWritable(async () => say('flush'), { minFlushIntervalMs: 300 }); s.write(1);",
      'flush',
    ],
    [
      'in flight, with nothing but an unreferenced handle behind the flush',
      `const s = new BackpressureWritable(() => new Promise((resolve) => setTimeout(() => resolve(say('flush')), 300).unref()));
       s.write(1); s.end(); s.on('finish', () => say('finish'));`,
      'flush',
      'finish',
    ],
    [
      'in flight without any limit on its time',
      `const s = new BackpressureWritable(() => new Promise((resolve) => setTimeout(() => resolve(say('flush')), 300).unref()),
         { flushTimeoutMs: Infinity });
       s.end(1); s.on('finish', () => say('finish'));`,
      'flush',
      'finish',
    ],
    [
      'in a retry pause',
      `let calls = 0;
       const s = new BackpressureWritable(async () => { say('flush'); if (++calls < 3) throw new Error('no'); },
         { retry: { attempts: 3, minDelayMs: 100 }, random: () => 0.99 });
       s.write(1); s.end(); s.on('finish', () => say('finish'));`,
      'flush',
      'flush',
      'flush',
      'finish',
    ],
    [
      'until a flush that hangs has timed out',
      `const s = new BackpressureWritable(() => new Promise(() => say('flush')),
         { batchSize: 1, flushTimeoutMs: 100, abortGraceMs: 100 });
       s.write(1); s.on('error', (error) => say(error.code)).on('close', () => say(s.takeUnsettled().length));`,
      'flush',
      'ERR_BACKPRESSURE_FLUSH_TIMEOUT',
      '1',
    ],
  ])('%s', async (_name, script, ...words) => {
    expect(await run(script)).toEqual({ words: [...words, 'exit'], code: 0 });
  });
});

it('an error that nobody listens to ends the process with it, as for any stream, and shows no rows', async () => {
  const { words, code } = await run(
    "new BackpressureWritable(() => Promise.reject(new Error('no'))).write({ secret: 'row-4711' });",
  );
  expect(code).toBe(1);
  const output = words.join(' ');
  expect(output).toContain('ERR_BACKPRESSURE_FLUSH_FAILED');
  expect(output).not.toContain('row-4711');
});
