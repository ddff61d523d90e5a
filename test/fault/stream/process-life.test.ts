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

describe.concurrent('a process with sinks that are unref exits by itself', () => {
  it.each([
    [
      'queued items are flushed once before it does',
      `const s = new BackpressureWritable(async (items) => say('flush:' + items), { unref: true, minFlushIntervalMs: 20_000 });
       s.write(1); s.write(2);`,
      'flush:1,2',
    ],
    [
      'all batches are flushed, if the destination keeps the process alive',
      `const c = new BackpressureController((items) => new Promise((resolve) => setTimeout(() => resolve(say('flush:' + items)), 20)),
         { unref: true, batchSize: 1, minFlushIntervalMs: 20_000 });
       c.start(); c.push(1); c.push(2);`,
      'flush:1',
      'flush:2',
    ],
    [
      'a flush that adds items does not hold it for ever',
      `const c = new BackpressureController(async () => { say('flush'); await new Promise((resolve) => setTimeout(resolve, 20)); c.push(2); },
         { unref: true, minFlushIntervalMs: 20_000 });
       c.start(); c.push(1);`,
      'flush',
    ],
    [
      'a retry pause, and a breaker that is open, do not hold it',
      `const s = new BackpressureWritable(async () => { say('flush'); throw new Error('down'); },
         { unref: true, retry: { attempts: 9, minDelayMs: 20_000 }, breaker: { failures: 1, minDelayMs: 20_000 } });
       s.on('error', () => {}); s.write(1);`,
      'flush',
    ],
    [
      'a flush that hangs does not hold it, and one line counts its items',
      `const s = new BackpressureWritable(() => new Promise(() => say('flush')), { unref: true });
       drainOnSignals([s]); s.write(1);`,
      'flush',
      ...'exit spillway: 1 item was not delivered before the process ended'.split(' '),
    ],
    [
      'one listener for a thousand sinks',
      `const all = Array.from({ length: 1_000 }, () => new BackpressureWritable(async () => {}, { unref: true }));
       say(process.listenerCount('beforeExit')); all.length = 0;`,
      '1',
    ],
  ])('%s', async (_name, script, ...words) => {
    const expected = words.includes('exit') ? words : [...words, 'exit'];
    const { words: heard, code } = await run(script);
    // Standard error may come before or after standard output.
    expect({ words: heard.toSorted(), code }).toEqual({ words: expected.toSorted(), code: 0 });
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
