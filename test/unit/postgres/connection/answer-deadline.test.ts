import { describe, expect, it } from 'vitest';
import { TIMED_OUT, AnswerDeadline } from '../../../../src/postgres/connection/answer-deadline.js';
import { HeldClock } from '../../../support/held-clock.js';

const never = new Promise<never>(() => undefined);

describe('the wait for an answer', () => {
  it('ends after its limit, in which the process could look at its I/O', async () => {
    const clock = new HeldClock(true);
    const answerDeadline = new AnswerDeadline(new AbortController().signal, clock);
    const seen: unknown[] = [];
    void answerDeadline.wait(never, 200).then((answer) => seen.push(answer));
    const settled = async () => {
      for (let n = 0; n < 5; n++) await Promise.resolve();
    };
    clock.hold(400);
    clock.turn();
    await settled();
    expect(seen).toEqual([]);
    clock.pass(200);
    await settled();
    expect(seen).toEqual([]);
    clock.turn();
    await settled();
    expect(seen).toEqual([TIMED_OUT]);
    expect(clock.pending).toBe(0);
  });

  it('has an answer that has arrived with the end of the limit', async () => {
    const clock = new HeldClock(true);
    const answerDeadline = new AnswerDeadline(new AbortController().signal, clock);
    let answer!: (value: string) => void;
    const waited = answerDeadline.wait(new Promise<string>((resolve) => (answer = resolve)), 200);
    clock.pass(200);
    answer('here');
    clock.turn();
    expect(await waited).toBe('here');
  });

  it('ends 500 ms after its signal, whenever that fires', async () => {
    const clock = new HeldClock();
    const controller = new AbortController();
    const answerDeadline = new AnswerDeadline(controller.signal, clock);
    const first = answerDeadline.wait(never);
    clock.pass(10_000);
    controller.abort();
    clock.pass(300);
    const second = answerDeadline.wait(never, 10_000);
    const seen: string[] = [];
    void first.then(() => seen.push('first'));
    void second.then(() => seen.push('second'));
    clock.pass(199);
    await Promise.resolve();
    expect(seen).toEqual([]);
    clock.pass(1);
    expect(await Promise.all([first, second])).toEqual([TIMED_OUT, TIMED_OUT]);
    answerDeadline.end();
  });
});
