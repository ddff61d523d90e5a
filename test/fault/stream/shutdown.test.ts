import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { runScript } from '../../support/script.js';

/** What the scripts below share. A server that listens keeps the process alive, as in a service. */
const SERVICE = `
  import { createServer } from 'node:net';
  import { Readable } from 'node:stream';
  import { pipeline } from 'node:stream/promises';
  createServer().listen(0, () => say('ready'));
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const tell = ({ signal, undelivered, errors }) =>
    say([signal, JSON.stringify(undelivered), ...errors.map(({ code }) => code)].join(':'));
  const hangs = () => new Promise(() => say('called'));
`;

function kill(signal: NodeJS.Signals, at = 'ready') {
  return (word: string, child: ChildProcess) => {
    if (word === at) child.kill(signal);
  };
}

describe.concurrent('a signal ends the process once everything is delivered', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s', async (name) => {
    const { words, signal } = await runScript(
      `${SERVICE}
       const sink = new BackpressureWritable(async (items) => { await sleep(50); say(items.join()); }, { batchSize: 2 });
       for (let item = 0; item < 5; item++) sink.write(item);
       drainOnSignals([sink], { onDrained: tell });`,
      kill(name),
    );
    expect({ words, signal }).toEqual({ words: ['ready', '0,1', '2,3', '4', `${name}:[]`], signal: name });
  });

  it('also one that is asked for, and a controller, whose pushes are refused meanwhile', async () => {
    const { words, signal } = await runScript(
      `${SERVICE}
       const sink = new BackpressureController(async (items) => {
         await sleep(50);
         say(items.join());
         if (items.includes(1)) say(await sink.push(2));
       });
       sink.start();
       await sink.push(1);
       drainOnSignals(new Set([sink]), { signals: ['SIGHUP'], onDrained: tell });`,
      kill('SIGHUP'),
    );
    expect({ words, signal }).toEqual({ words: ['ready', '1', 'false', 'SIGHUP:[]'], signal: 'SIGHUP' });
  });

  it('the status is the one that a shell expects', async () => {
    const { words, code } = await runScript(
      `import { spawnSync } from 'node:child_process';
       const script = "import { BackpressureWritable, drainOnSignals } from './src/index.ts';" +
         "drainOnSignals([new BackpressureWritable(async () => {})]); process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1e6);";
       const { status } = spawnSync('/bin/sh', ['-c', '"$0" --import tsx --input-type=module --eval "$1"; exit $?', process.execPath, script]);
       say(status);`,
    );
    expect({ words, code }).toEqual({ words: [String(128 + constants.signals.SIGTERM), 'exit'], code: 0 });
  });
});

describe.concurrent('a destination that hangs', () => {
  it('has its items reported when time is out, and the process ends by the signal', async () => {
    const { words, signal, lastWordToEndMs } = await runScript(
      `${SERVICE}
       const sink = new BackpressureWritable(hangs, { batchSize: 2 });
       for (let item = 0; item < 5; item++) sink.write(item);
       drainOnSignals([sink], { timeoutMs: 300, onDrained: tell });`,
      kill('SIGTERM'),
    );
    expect(words.toSorted()).toEqual(
      ['ready', 'called', 'SIGTERM:[0,1,2,3,4]:ERR_BACKPRESSURE_DRAIN_TIMEOUT'].toSorted(),
    );
    expect(signal).toBe('SIGTERM');
    expect(lastWordToEndMs).toBeLessThan(10_000);
  });

  it('without onDrained is reported by one line, which shows no rows', async () => {
    const { words, signal } = await runScript(
      `${SERVICE}
       const sink = new BackpressureWritable(hangs);
       sink.write({ secret: 'row-4711' });
       drainOnSignals([sink], { timeoutMs: 100 });`,
      kill('SIGTERM'),
    );
    const output = words.join(' ');
    expect(output).toContain(
      'spillway: 1 item was not delivered before SIGTERM ended the process: drain took longer',
    );
    expect(output).not.toContain('row-4711');
    expect(signal).toBe('SIGTERM');
  });

  it('is left at once by a second SIGINT, a second after the first, and one line counts its items', async () => {
    const { words, signal, lastWordToEndMs } = await runScript(
      `${SERVICE}
       const sink = new BackpressureWritable(hangs);
       sink.write(1);
       drainOnSignals([sink], { timeoutMs: 60_000, onDrained: tell });
       process.once('SIGINT', () => setTimeout(() => say('later'), 1_200));`,
      (word, child) => {
        if (word === 'ready') {
          child.kill('SIGTERM');
          child.kill('SIGINT');
          child.kill('SIGTERM');
        }
        if (word === 'later') child.kill('SIGINT');
      },
    );
    expect(words).not.toContain('exit');
    expect(words.join(' ')).toContain(
      'spillway: 1 item was not delivered before a second SIGINT ended the process',
    );
    expect(signal).toBe('SIGINT');
    expect(lastWordToEndMs).toBeLessThan(10_000);
  });
});

describe.concurrent('onDrained', () => {
  it('is waited for, and may use what it is given', async () => {
    const { words, signal } = await runScript(
      `${SERVICE}
       const sink = new BackpressureWritable(hangs);
       sink.write(1);
       drainOnSignals([sink], { timeoutMs: 50, onDrained: async (report) => { await sleep(300); tell(report); } });`,
      kill('SIGTERM'),
    );
    expect(words).toContain('SIGTERM:[1]:ERR_BACKPRESSURE_DRAIN_TIMEOUT');
    expect(signal).toBe('SIGTERM');
  });

  it('that never answers does not hold the process', async () => {
    const { words, signal, lastWordToEndMs } = await runScript(
      `${SERVICE} drainOnSignals([], { timeoutMs: 50, onDrained: () => new Promise(() => say('asked')) });`,
      kill('SIGTERM'),
    );
    expect(words.slice(0, 2)).toEqual(['ready', 'asked']);
    expect(words.join(' ')).toContain('onDrained has not answered within 1000 ms');
    expect(signal).toBe('SIGTERM');
    expect(lastWordToEndMs).toBeLessThan(10_000);
  });

  it('keeps a process alive that has nothing else to do', async () => {
    const { words, signal } = await runScript(
      `drainOnSignals([], { onDrained: () => new Promise((resolve) => setTimeout(() => resolve(say('told')), 200).unref()) });
       const alive = setTimeout(() => {}, 20_000);
       process.once('SIGTERM', () => clearTimeout(alive));
       say('ready');`,
      kill('SIGTERM'),
    );
    expect({ words, signal }).toEqual({ words: ['ready', 'told'], signal: 'SIGTERM' });
  });
});

describe.concurrent('pipeline() from a source without end', () => {
  const ENDLESS = `${SERVICE}
    const written = [], delivered = [];
    const source = async function* () { for (let item = 0; ; item++) { written.push(item); yield item; if (item % 50 === 0) await sleep(1); } };
    const check = ({ undelivered, ...report }) => {
      const known = new Set([...delivered, ...undelivered]);
      const lost = written.filter((item) => !known.has(item));
      say(['lost', lost.length, 'undelivered', undelivered.length > 0, 'twice', delivered.length + undelivered.length - known.size].join());
    };`;

  it('everything that the source gave is delivered, and the process ends', async () => {
    const { words, signal } = await runScript(
      `${ENDLESS}
       const sink = new BackpressureWritable(async (items) => { await sleep(5); delivered.push(...items); });
       drainOnSignals([sink], { onDrained: check });
       await pipeline(source, sink);`,
      (word, child) => {
        if (word === 'ready') void delay(300).then(() => child.kill('SIGTERM'));
      },
    );
    // The generator had been asked for one more, perhaps, which it gave to nobody.
    expect(words).toEqual(['ready', expect.stringMatching(/^lost,[01],undelivered,false,twice,0$/)]);
    expect(signal).toBe('SIGTERM');
  });

  it('a destination that is stuck: everything is delivered or reported, and the process ends', async () => {
    const { words, signal } = await runScript(
      `${ENDLESS}
       const sink = new BackpressureWritable(async (items) => {
         if (delivered.length > 1_000) await hangs();
         delivered.push(...items);
       });
       drainOnSignals([sink], { timeoutMs: 200, onDrained: check });
       await pipeline(source, sink);`,
      kill('SIGTERM', 'called'),
    );
    expect(words.at(-1)).toMatch(/^lost,[01],undelivered,true,twice,0$/);
    expect(signal).toBe('SIGTERM');
  });
});

describe.concurrent('several sinks', () => {
  it('all are drained at the same time; one that fails, or has ended, keeps nobody from it', async () => {
    const { words, signal } = await runScript(
      `${SERVICE}
       // Nothing but the drain makes these flush.
       const slow = () => new BackpressureWritable(async (items) => { say('begin'); await sleep(400); say(items); }, { minFlushIntervalMs: 60_000 });
       const fails = new BackpressureWritable(async () => { await sleep(100); throw new Error('no'); }, { minFlushIntervalMs: 60_000 });
       const finished = new BackpressureWritable(async () => {});
       const destroyed = new BackpressureWritable(async () => {}).destroy();
       const stopped = new BackpressureController(async () => {});
       const sinks = [slow(), fails, finished.end(), destroyed, stopped, slow(), slow()];
       for (const [item, sink] of sinks.entries()) {
         if (sink === stopped) sink.push(item);
         else if (sink.writable) sink.write(item);
       }
       drainOnSignals(sinks, { onDrained: tell });`,
      kill('SIGTERM'),
    );
    expect(words).toEqual([
      ...['ready', 'begin', 'begin', 'begin', '0', '5', '6'],
      'SIGTERM:[1,4]:ERR_BACKPRESSURE_FLUSH_FAILED:ERR_BACKPRESSURE_STOPPED',
    ]);
    expect(signal).toBe('SIGTERM');
  });

  it('of several calls: the first that is done does not cut the others short', async () => {
    const { words, signal } = await runScript(
      `${SERVICE}
       let over = 0;
       // Nothing but the drain makes these flush, and each waits until the one before is over.
       for (const place of [0, 2, 1]) {
         const wait = async () => { while (over < place) await sleep(5); say(place); };
         const sink = new BackpressureWritable(wait, { minFlushIntervalMs: 60_000 });
         sink.write(place);
         drainOnSignals([sink], { onDrained: (report) => { tell(report); over++; } });
       }`,
      kill('SIGTERM'),
    );
    const told = 'SIGTERM:[]';
    expect({ words, signal }).toEqual({
      words: ['ready', '0', told, '1', told, '2', told],
      signal: 'SIGTERM',
    });
  });
});

describe.concurrent('a process that gets no signal', () => {
  it('is not kept alive', async () => {
    const { words, code } = await runScript(
      'const sink = new BackpressureWritable(async (items) => say(items.length)); drainOnSignals([sink]); sink.end(1);',
    );
    expect({ words, code }).toEqual({ words: ['1', 'exit'], code: 0 });
  });

  it('ends by the signal once the listeners have been taken away', async () => {
    const { words, signal } = await runScript(
      `${SERVICE} drainOnSignals([], { onDrained: tell })();`,
      kill('SIGTERM'),
    );
    expect({ words, signal }).toEqual({ words: ['ready'], signal: 'SIGTERM' });
  });
});
