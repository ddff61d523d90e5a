/**
 * When the destination falls behind, debug messages go first, then information; errors are kept as long as there is room at all.
 *
 * Packages: `spillway`
 * Run: `npx tsx priority-shedding.ts`
 */

import { BackpressureState, BackpressureWritable, type DropReason } from 'spillway';

interface Message {
  level: 'debug' | 'info' | 'error';
  text: string;
}

const { ELEVATED, CRITICAL, BLOCKED } = BackpressureState;
const delivered: Message[] = [];
const logs = new BackpressureWritable<Message>(
  async (messages) => {
    await new Promise((resolve) => setTimeout(resolve, 20)); // the network
    delivered.push(...messages);
  },
  {
    strategy: 'drop_oldest',
    maxBufferSize: 1_000,
    batchSize: 100,
    shed: ({ level }, state) =>
      (level === 'debug' && (state === ELEVATED || state === CRITICAL || state === BLOCKED)) ||
      (level === 'info' && (state === CRITICAL || state === BLOCKED)),
  },
);
const dropped: Record<string, number> = {};
logs.on('drop', ({ level }: Message, reason: DropReason) => {
  dropped[`${level} ${reason}`] = (dropped[`${level} ${reason}`] ?? 0) + 1;
});

for (let i = 0; i < 3_000; i++) {
  const level = i % 10 === 0 ? 'error' : i % 2 === 0 ? 'info' : 'debug';
  logs.write({ level, text: `message ${i}` });
}
await new Promise<void>((resolve) => logs.end(resolve));
const errors = delivered.filter(({ level }) => level === 'error').length;
console.log(JSON.stringify({ delivered: delivered.length, errors, dropped }));
