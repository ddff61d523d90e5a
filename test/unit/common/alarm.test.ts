import { describe, expect, test } from 'vitest';
import { Alarm } from '../../../src/common/alarm.js';
import { LONGEST_DELAY_MS } from '../../../src/common/clock.js';
import { ManualClock } from '../../support/manual-clock.js';

describe('Alarm', () => {
  const make = () => {
    const clock = new ManualClock();
    const rings: number[] = [];
    const alarm = new Alarm(clock, () => rings.push(clock.now()));
    const start = clock.now();
    return { clock, rings, alarm, start };
  };

  test('goes off once, at its time', async () => {
    const { clock, rings, alarm, start } = make();
    alarm.set(start + 10);
    await clock.advance(9);
    expect(rings).toEqual([]);
    await clock.advance(100);
    expect(rings).toEqual([start + 10]);
  });

  test('goes off at the time that it was set for last', async () => {
    const { clock, rings, alarm, start } = make();
    alarm.set(start + 10);
    alarm.set(start + 20);
    await clock.advance(15);
    alarm.set(start + 18);
    await clock.advance(100);
    expect(rings).toEqual([start + 18]);
  });

  test('setBy brings it forward, and never puts it off', async () => {
    const { clock, rings, alarm, start } = make();
    alarm.setBy(start + 20);
    alarm.setBy(start + 10);
    alarm.setBy(start + 30);
    await clock.advance(100);
    expect(rings).toEqual([start + 10]);
  });

  test('a time that has passed is now', async () => {
    const { clock, rings, alarm, start } = make();
    await clock.advance(50);
    alarm.set(start + 10);
    await clock.advance(0);
    expect(rings).toEqual([start + 50]);
  });

  test.each([
    ['clear', (alarm: Alarm) => alarm.clear()],
    ['Infinity', (alarm: Alarm) => alarm.set(Infinity)],
  ])('%s: it does not go off, and can be set again', async (_name, unset) => {
    const { clock, rings, alarm, start } = make();
    alarm.set(start + 10);
    unset(alarm);
    await clock.advance(100);
    expect(rings).toEqual([]);
    alarm.setBy(start + 110);
    await clock.advance(100);
    expect(rings).toEqual([start + 110]);
  });

  test('may be set again from within', async () => {
    const clock = new ManualClock();
    const start = clock.now();
    const rings: number[] = [];
    const alarm = new Alarm(clock, () => {
      rings.push(clock.now());
      if (rings.length < 3) alarm.setBy(clock.now() + 5);
    });
    alarm.set(start + 5);
    for (let step = 0; step < 40; step += 1) await clock.advance(1);
    expect(rings).toEqual([start + 5, start + 10, start + 15]);
  });

  test('never asks for a delay beyond the longest one, which would go off at once', () => {
    const { clock, alarm, start } = make();
    alarm.set(start + 0.25 + LONGEST_DELAY_MS);
    expect(clock.nextAt).toBe(start + LONGEST_DELAY_MS);
    alarm.set(start + 2 * LONGEST_DELAY_MS);
    expect(clock.nextAt).toBe(start + LONGEST_DELAY_MS);
  });
});
