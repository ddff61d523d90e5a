/** Types of each entry point, from the tarball, by each way in which TypeScript finds them. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { runChild } from './child.js';

const { app } = inject('installed');

const CONSUMERS: Readonly<Record<string, string>> = {
  core: `
    import { BackpressureController, BackpressureTransform, BackpressureWritable, drainOnSignals, type FlushResult } from 'spillway';
    const sink = new BackpressureWritable<{ id: number }>(
      async (items): Promise<FlushResult> => ({ success: items.length, failed: 0, errors: [] }),
      { strategy: 'drop_oldest', onFailed: (failures) => void failures[0]?.item.id.toFixed() },
    );
    const lengths = new BackpressureTransform<string, number>({ map: (text) => text.length });
    const controller = new BackpressureController<string>(async () => {}, { retry: { attempts: 3 } });
    // @ts-expect-error there is no such strategy
    new BackpressureWritable(async () => {}, { strategy: 'drop' });
    export const stop: () => void = drainOnSignals([lengths, sink, controller]);
    export const flushed: number = sink.getMetrics().eventsFlushed;`,
  postgres: `
    import { BackpressureWritable } from 'spillway';
    import { copyInto, CopyError } from 'spillway/postgres';
    import { Pool } from 'pg';
    export const sink = new BackpressureWritable<{ id: number }>(copyInto(new Pool(), { table: 't' }));
    // @ts-expect-error a table has to be named
    copyInto(new Pool(), {});
    export const codeOf = (error: unknown): string | undefined => (error instanceof CopyError ? error.sqlState : undefined);`,
  jetstream: `
    import { jetStreamLog, type Log } from 'spillway/jetstream';
    export const logOf = (nats: Parameters<typeof jetStreamLog>[0]): Log => jetStreamLog(nats, { stream: 'EVENTS' });`,
  opentelemetry: `
    import { BackpressureWritable } from 'spillway';
    import { instrument } from 'spillway/opentelemetry';
    instrument(new BackpressureWritable(async () => {}), { name: 'events' }).detach();
    // @ts-expect-error a name is needed
    instrument(new BackpressureWritable(async () => {}), {});`,
  report: `
    import { BackpressureWritable } from 'spillway';
    import { createReport } from 'spillway/report';
    export const html: string = createReport(new BackpressureWritable(async () => {}), { title: 'T' }).toHtml();`,
};

const RESOLUTIONS = [
  ['nodenext', { module: 'nodenext', moduleResolution: 'nodenext' }, ['mts', 'cts']],
  ['node16', { module: 'node16', moduleResolution: 'node16' }, ['mts', 'cts']],
  ['bundler', { module: 'esnext', moduleResolution: 'bundler' }, ['ts']],
  ['node10', { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true }, ['ts']],
] as const;

describe('types of each entry point', () => {
  test.each(RESOLUTIONS)('are found by moduleResolution %s', async (name, options, extensions) => {
    const folder = path.join(app, `types-${name}`);
    await mkdir(folder, { recursive: true });
    const files: string[] = [];
    for (const [entry, text] of Object.entries(CONSUMERS)) {
      for (const extension of extensions) {
        const file = `${entry}.${extension}`;
        await writeFile(path.join(folder, file), text);
        files.push(file);
      }
    }
    const compilerOptions = {
      ...{
        target: 'es2022',
        strict: true,
        noEmit: true,
        types: ['node'],
        lib: ['ES2023', 'ESNext.Disposable'],
      },
      // Types of others are theirs to check.
      skipLibCheck: true,
      ...options,
    };
    await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    const tsc = path.join(app, 'node_modules/typescript/bin/tsc');
    const { code, stdout } = await runChild(process.execPath, [tsc], { cwd: folder, limitMs: 120_000 });
    expect(stdout).toBe('');
    expect(code).toBe(0);
  });
});
