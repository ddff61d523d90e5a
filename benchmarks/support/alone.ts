/** The process of its own: `alone.ts NAME COUNT` times one write loop, and tells its parent. */

import { countFault, makeItems } from './counting.js';
import { writeAll } from './in-process.js';
import { spreadOf } from './statistics.js';
import { WRITE_LOOPS } from './write-loops.js';

export interface AloneResult {
  readonly firstWallMs: number;
  readonly firstCpuMs: number;
  /** Medians of the runs once warm. */
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly wrong: string | undefined;
}

const WARM_UPS = 3;
const RUNS = 7;

const [name, count] = process.argv.slice(2);
const items = makeItems(Number(count));
const runs: { wallMs: number; cpuMs: number }[] = [];
let wrong: string | undefined;
for (let run = 0; run < WARM_UPS + RUNS; run += 1) {
  let received = 0;
  const sink = WRITE_LOOPS[name!]!(
    () => {
      received += 1;
    },
    async (batch) => {
      received += batch.length;
    },
  );
  const cpuStart = process.cpuUsage();
  const start = performance.now();
  await writeAll(sink, items);
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuStart);
  runs.push({ wallMs, cpuMs: (user + system) / 1000 });
  wrong ??= countFault(received, items.length);
}
const warm = runs.slice(WARM_UPS);
process.send!({
  firstWallMs: runs[0]!.wallMs,
  firstCpuMs: runs[0]!.cpuMs,
  wallMs: spreadOf(warm.map(({ wallMs }) => wallMs)).median,
  cpuMs: spreadOf(warm.map(({ cpuMs }) => cpuMs)).median,
  wrong,
} satisfies AloneResult);
