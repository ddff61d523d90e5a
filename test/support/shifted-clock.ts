/** Moves the clocks of this process by the hours that `TEST_CLOCK_HOURS` says: `node --import ./test/support/shifted-clock.ts …`. */

const shiftMs = Number(process.env['TEST_CLOCK_HOURS']) * 3_600_000;
const now = Date.now.bind(Date);
const performanceNow = performance.now.bind(performance);
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...values: readonly unknown[]) {
    super(...((values.length === 0 ? [now() + shiftMs] : values) as [number]));
  }

  static override now(): number {
    return now() + shiftMs;
  }
} as DateConstructor;
performance.now = () => performanceNow() + Math.abs(shiftMs);
