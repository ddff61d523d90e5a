/** Beside the helpers that services are really run with: what was accepted is delivered, or reported, or counted by one line. */

import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runService, signals, type ServiceEnd } from '../../support/service.js';

const NEST = `
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
class App {}
Module({})(App);
const app = await NestFactory.createApplicationContext(App, { logger: false });
const server = createServer().listen(0);
`;
const CLOSE_WITH_GRACE = `
import closeWithGrace from 'close-with-grace';
const server = createServer().listen(0);
`;

/** Within the script: starts it again, in a worker thread. */
const WORKER = `
const WORKER = "import('tsx/esm/api').then(({ register }) => { register(); return import('" + import.meta.url + "?worker'); })";
`;

function expectAccounted(end: ServiceEnd): void {
  const { accepted, delivered, reported, printed } = end;
  expect({ accepted, end: end.stderr }).toEqual({ accepted: 1_000, end: end.stderr });
  expect(delivered + reported + printed).toBe(accepted);
}

describe.concurrent('NestJS raises the signal again after its hooks', () => {
  it.each([
    ['before', 'one SIGTERM', [[0, 'SIGTERM']]],
    ['after', 'one SIGTERM', [[0, 'SIGTERM']]],
    ['before', 'a forwarded SIGINT', [[0, 'SIGINT'], [5, 'SIGINT'], [50, 'SIGTERM']]],
  ] as const)('enableShutdownHooks() %s drainOnSignals(), %s: everything is delivered', async (order, _name, steps) => {
    const calls = ['app.enableShutdownHooks();', 'drainOnSignals([sink], { onDrained: tell });'];
    const end = await runService(
      `${NEST} const sink = createSink('slow'); ${(order === 'before' ? calls : calls.reverse()).join(' ')}
       fill(sink); ready();`,
      { onReady: signals(...steps) },
    );
    expect(end).toMatchObject({ delivered: 1_000, reported: 0, lines: 0, signal: steps[0][1] });
  }); // prettier-ignore

  it('with a destination that hangs: the items are reported when time is out', async () => {
    const end = await runService(
      `${NEST} app.enableShutdownHooks(); const sink = createSink('hangs');
       drainOnSignals([sink], { timeoutMs: 400, onDrained: tell }); fill(sink); ready();`,
      { onReady: signals([0, 'SIGTERM'], [50, 'SIGTERM']) },
    );
    expect(end).toMatchObject({ delivered: 0, reported: 1_000, lines: 0, signal: 'SIGTERM' });
    expect(end.ms).toBeGreaterThan(300);
  });

  it('that calls process.exit() instead: one line counts what is left', async () => {
    const end = await runService(
      `${NEST} app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true }); const sink = createSink('slow');
       drainOnSignals([sink], { onDrained: tell }); fill(sink); ready();`,
      { onReady: signals([0, 'SIGTERM']) },
    );
    expectAccounted(end);
    expect(end).toMatchObject({ lines: 1, code: 0 });
  });
});

describe.concurrent('close-with-grace calls process.exit()', () => {
  it('at once: one line counts what is left', async () => {
    const end = await runService(
      `${CLOSE_WITH_GRACE} const sink = createSink('slow'); drainOnSignals([sink], { onDrained: tell });
       closeWithGrace(async () => { server.close(); }); fill(sink); ready();`,
      { onReady: signals([0, 'SIGTERM']) },
    );
    expectAccounted(end);
    expect(end).toMatchObject({ lines: 1, code: 0 });
  });

  it.each(['before', 'after'])(
    'after the drain, registered %s it: its own work is not cut short',
    async (order) => {
      const grace = `closeWithGrace(async () => { await sleep(800); note('closed', 1); });`;
      const drain = 'drainOnSignals([sink], { onDrained: tell });';
      const end = await runService(
        `${CLOSE_WITH_GRACE} const sink = createSink('slow');
         ${order === 'before' ? grace + drain : drain + grace} fill(sink, 1_000); ready();`,
        { onReady: signals([0, 'SIGTERM']) },
      );
      expect(end).toMatchObject({ delivered: 1_000, lines: 0, code: 0 });
      expect(end.stderr).not.toContain('second SIGTERM');
    },
  );

  it('a second signal, which it takes for the user: one line counts what is left', async () => {
    const end = await runService(
      `${CLOSE_WITH_GRACE} const sink = createSink('slow', { batchSize: 10 }); drainOnSignals([sink], { onDrained: tell });
       closeWithGrace(async () => { await drainAll([sink]); }); fill(sink); ready();`,
      { onReady: signals([0, 'SIGINT'], [100, 'SIGINT']) },
    );
    expectAccounted(end);
    expect(end).toMatchObject({ lines: 1, code: 1 });
  });
});

describe.concurrent('a process that exits by itself or by somebody else', () => {
  it.each([
    ['process.exit() in the midst', 'fill(sink); process.exit(3);', 3],
    ['an uncaught exception', "fill(sink); setTimeout(() => { throw new Error('boom'); });", 1],
    ['an unhandled rejection', "fill(sink); void Promise.reject(new Error('boom'));", 1],
    ['process.exit() in a handler of the signal', "process.on('SIGTERM', () => process.exit(4)); fill(sink); process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1e3);", 4],
    ['process.exit() while the sink drains', "fill(sink); process.kill(process.pid, 'SIGTERM'); setTimeout(() => process.exit(5), 35);", 5],
    ['nothing left to do', 'sink.end(); fill(stopped);', 0],
  ])('%s: one line counts what is left', async (_name, script, code) => {
    const end = await runService(
      `const sink = createSink('slow');
       const stopped = new BackpressureController(destinations.slow);
       stopped.write = (item) => void stopped.push(item);
       drainOnSignals([sink, stopped], { onDrained: tell }); ${script}`,
    );
    expectAccounted(end);
    expect(end).toMatchObject({ lines: 1, code });
  }); // prettier-ignore

  it('a pipe that nobody reads for a while: the line comes all the same', async () => {
    const end = await runService(
      `const sink = createSink('hangs'); drainOnSignals([sink]); fill(sink);
       for (let line = 0; line < 400; line++) process.stderr.write('x'.repeat(1_000) + '\\n'); process.exit(1);`,
    );
    expectAccounted(end);
  });

  it.each([
    ['throws', "throw new Error('mine');", 1],
    ['calls process.exit()', 'process.exit(4);', 4],
  ])(
    'a listener of the exit that %s, added before: one line counts what is left',
    async (_name, body, code) => {
      const end = await runService(
        `process.on('exit', () => { ${body} });
       const sink = createSink('hangs'); drainOnSignals([sink]); fill(sink); process.exit(1);`,
      );
      expectAccounted(end);
      expect(end).toMatchObject({ lines: 1, code });
    },
  );

  it('a full pipe that nobody reads, and a child that has made it blocking: the process ends', async () => {
    const end = await runService(
      `import { spawn, spawnSync } from 'node:child_process';
       if (process.argv[2] === undefined) {
         const child = spawn(process.execPath, [...process.execArgv, process.argv[1], 'child'], { stdio: ['ignore', 'ignore', 'pipe'] });
         child.stderr.pause();
         child.on('exit', (code) => { note('code', code); child.stderr.destroy(); });
         setTimeout(() => child.kill('SIGKILL'), 20_000).unref();
       } else {
         const sink = createSink('hangs'); drainOnSignals([sink]); fill(sink);
         spawnSync('head', ['-c', '9999999', '/dev/zero'], { timeout: 500, killSignal: 'SIGKILL', stdio: ['ignore', 2, 'ignore'] });
         process.exit(3);
       }`,
    );
    expect(end).toMatchObject({ accepted: 1_000, code: 0 });
    expect(end.notes).toContain('code 3');
  }); // prettier-ignore

  it('exitNotice: false: no line', async () => {
    const end = await runService(
      `const sink = createSink('hangs'); drainOnSignals([sink], { exitNotice: false }); fill(sink); process.exit(1);`,
    );
    expect(end).toMatchObject({ accepted: 1_000, lines: 0, code: 1 });
  });
});

describe.concurrent('signals as process managers send them', () => {
  it('PM2: SIGINT, and SIGKILL after its timeout, which comes after ours', async () => {
    for (const kind of ['slow', 'hangs', 'fails']) {
      const end = await runService(
        `const server = createServer().listen(0); const sink = createSink('${kind}', { batchSize: 50 });
         drainOnSignals([sink], { timeoutMs: 1_000, onDrained: tell }); fill(sink); ready();
         process.kill(process.pid, 'SIGINT');`,
        { onReady: signals([10_000, 'SIGKILL']) },
      );
      expectAccounted(end);
      // A sink that fails before the signal comes has nothing to drain: one line counts its items.
      expect(end).toMatchObject({ signal: 'SIGINT', lines: kind === 'fails' && end.reported === 0 ? 1 : 0 });
    }
  });

  it('a shower of SIGTERM, SIGINT and SIGHUP changes nothing', async () => {
    const steps = Array.from({ length: 30 }, (_, place) => [20, (['SIGTERM', 'SIGINT', 'SIGTERM'] as const)[place % 3]!] as const);
    const end = await runService(
      `const server = createServer().listen(0); const sink = createSink('slow', { batchSize: 25 });
       drainOnSignals([sink], { onDrained: tell }); fill(sink); ready();`,
      { onReady: signals(...steps) },
    );
    expect(end).toMatchObject({ delivered: 1_000, lines: 0, code: null });
  }); // prettier-ignore

  const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;
  it.skipIf(!canUnshare)(
    'the first process of a container drains and exits with 128 + n (needs unshare)',
    async () => {
      for (const kind of ['slow', 'hangs']) {
        const end = await runService(
          `const server = createServer().listen(0); const sink = createSink('${kind}', { batchSize: 50 });
         if (process.pid !== 1) throw new Error('not the first process');
         drainOnSignals([sink], { timeoutMs: 700 }); fill(sink); ready();`,
          {
            wrap: ({ command, args }) => ({
              command: 'unshare',
              args: ['--pid', '--fork', '--mount-proc', '--kill-child', command, ...args],
            }),
            // The signal is for the process inside, which its parent does not forward it to.
            onReady: (child) => void spawn('pkill', ['-TERM', '-P', String(child.pid)]),
          },
        );
        expectAccounted(end);
        expect(end).toMatchObject({ lines: kind === 'slow' ? 0 : 1, code: 143 });
      }
    },
  );

  const hasScript = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0;
  it.skipIf(!hasScript)(
    'npm start and one Ctrl-C in a terminal: everything is delivered (needs script)',
    async () => {
      const end = await runService(
        `const server = createServer().listen(0); const sink = createSink('slow', { batchSize: 20 });
       process.on('SIGINT', () => note('interrupted', 1));
       drainOnSignals([sink], { onDrained: (report) => { tell(report); process.exit(0); } }); fill(sink); ready();`,
        {
          wrap: ({ command, args }, folder) => {
            const start = [command, ...args].map((word) => `'${word}'`).join(' ');
            writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ scripts: { start } }));
            return { command: 'script', args: ['-qec', 'npm start --silent', '/dev/null'] };
          },
          onReady: (child) => void child.stdin!.write('\u0003'),
        },
      );
      expectAccounted(end);
      expect(end).toMatchObject({ delivered: 1_000, lines: 0 });
    },
  );
});

describe.concurrent('callbacks of the user', () => {
  it('beforeDrain that hangs, with nothing left to drain: the warning is printed before the process ends', async () => {
    const end = await runService(
      `const server = createServer().listen(0); const sink = createSink('slow');
       drainOnSignals([sink], { timeoutMs: 1_000, beforeDrain: () => new Promise(() => {}), onDrained: tell });
       fill(sink); ready();`,
      { onReady: signals([0, 'SIGTERM']) },
    );
    expect(end).toMatchObject({ delivered: 1_000, reported: 0, lines: 0, signal: 'SIGTERM' });
    expect(end.stderr).toContain('beforeDrain has not answered within 500 ms');
  });
});

describe.concurrent('worker threads', () => {
  it('drainOnSignals warns once; drainAll drains when the main thread asks for it', async () => {
    const end = await runService(
      `import { isMainThread, parentPort, Worker } from 'node:worker_threads';${WORKER}
       if (isMainThread) {
         const worker = new Worker(WORKER, { eval: true });
         worker.on('message', (word) => { if (word === 'ready') ready(); });
         process.once('SIGTERM', () => worker.postMessage('drain'));
         worker.on('exit', () => process.exit(0));
       } else {
         const sink = createSink('slow');
         drainOnSignals([sink]);
         drainOnSignals([sink]);
         fill(sink);
         parentPort.on('message', async () => { tell(await drainAll([sink])); process.exit(); });
         parentPort.postMessage('ready');
       }`,
      { onReady: signals([0, 'SIGTERM']) },
    );
    expect(end).toMatchObject({ delivered: 1_000, reported: 0, lines: 0, code: 0 });
    expect(end.stderr.match(/drainOnSignals\(\) has no effect in a worker thread/g)).toHaveLength(1);
  });

  it('a worker that ends with items open prints the line', async () => {
    const end = await runService(
      `import { isMainThread, Worker } from 'node:worker_threads';${WORKER}
       if (isMainThread) new Worker(WORKER, { eval: true });
       else { const sink = createSink('hangs'); drainOnSignals([sink]); fill(sink); process.exit(); }`,
    );
    expectAccounted(end);
    expect(end.lines).toBe(1);
  });
});

describe.concurrent('pipeline(endless, transform, sink)', () => {
  it.each(['slow', 'hangs'])(
    'SIGTERM with a destination that is %s: each accepted item is delivered or reported',
    async (kind) => {
      const end = await runService(
        `import { pipeline } from 'node:stream/promises';
       let given = 0, arrived = 0, isTold = false;
       const source = async function* () { for (;;) { yield given++; if (given % 50 === 0) await sleep(1); } };
       const transform = new BackpressureTransform({ map: async (item) => item });
       const sink = new BackpressureWritable(async (items) => {
         if (arrived > 500 && !isTold) { isTold = true; ready(); }
         if ('${kind}' === 'hangs' && arrived > 500) await new Promise(() => {});
         await sleep(5); arrived += items.length; note('delivered', items.length);
       });
       const onDrained = (report) => { note('accepted', transform.getMetrics().eventsOffered); tell(report); };
       drainOnSignals([transform, sink], { timeoutMs: 1_000, onDrained });
       await pipeline(source, transform, sink);`,
        { onReady: signals([0, 'SIGTERM']) },
      );
      expect(end.delivered).toBeGreaterThan(300);
      expect(end.delivered + end.reported).toBe(end.accepted);
      expect(end).toMatchObject({ lines: 0, signal: 'SIGTERM' });
      if (kind === 'slow') expect(end.reported).toBe(0);
      else expect(end.reported).toBeGreaterThan(0);
    },
  );
});
