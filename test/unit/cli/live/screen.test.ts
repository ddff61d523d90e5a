import { describe, expect, it, onTestFinished } from 'vitest';
import { Screen } from '../../../../src/cli/live/screen.js';
import { ScreenStream } from '../../../support/screen-stream.js';
import { SeededRandom } from '../../../support/seeded-random.js';

function start(columns = 60, rows = 12) {
  const stream = new ScreenStream(columns, rows);
  stream.write('$ spillway load\n');
  const screen = new Screen(stream as unknown as NodeJS.WriteStream, { wrapsAgain: true });
  onTestFinished(() => screen.close());
  return { stream, screen };
}

const FRAME = ['title '.padEnd(50, '='), 'rows     1,000', 'buffer   10 % full '.padEnd(50, '#')];

describe('the screen', () => {
  it('draws each frame over the last one', async () => {
    const { stream, screen } = start();
    screen.draw(FRAME);
    screen.draw(['title', 'rows     2,000']);
    expect(await stream.lines()).toEqual(['$ spillway load', 'title', 'rows     2,000']);
    screen.draw([...FRAME, 'waiting']);
    expect(await stream.lines()).toEqual(['$ spillway load', ...FRAME, 'waiting']);
  });

  it('keeps the last lines when one comes or goes above them', async () => {
    const { stream, screen } = start();
    const short = ['title', 'rows     1', 'faults   0'];
    const long = ['title', 'loaded   3 %', 'rows     2', 'faults   0'];
    for (const frame of [short, long, short]) {
      screen.draw(frame);
      expect(await stream.lines()).toEqual(['$ spillway load', ...frame]);
    }
  });

  it('shows the last of many random frames, and nothing of the others', async () => {
    const { stream, screen } = start();
    const random = new SeededRandom(7);
    for (let round = 0; round < 200; round += 1) {
      const frame = Array.from({ length: random.int(1, 8) }, () =>
        'abc'.charAt(random.int(0, 2)).repeat(random.int(1, 59)),
      );
      screen.draw(frame);
      expect(await stream.lines()).toEqual(['$ spillway load', ...frame]);
    }
  });

  it.each([20, 24, 37, 50, 51, 59, 61, 100])(
    'leaves nothing behind when it becomes %i columns wide',
    async (columns) => {
      const { stream, screen } = start();
      screen.draw(FRAME);
      await stream.resize(columns);
      const narrow = ['title', 'rows     1,000'];
      screen.draw(narrow);
      expect(await stream.lines()).toEqual(['$ spillway load', ...narrow]);
      await stream.resize(60);
      screen.draw(FRAME);
      expect(await stream.lines()).toEqual(['$ spillway load', ...FRAME]);
    },
  );

  it('stays below what others write meanwhile, also without a line break', async () => {
    const { stream, screen } = start();
    screen.draw(FRAME);
    stream.write('spillway: a warning\n');
    screen.draw(FRAME);
    stream.write('no line break');
    screen.draw(FRAME);
    expect(await stream.lines()).toEqual([
      '$ spillway load',
      'spillway: a warning',
      'no line break',
      ...FRAME,
    ]);
  });

  it('is drawn, and removed without the lines above it, on a terminal that says it has no size', async () => {
    const { stream, screen } = start();
    Object.assign(stream, { columns: 0, rows: 0 });
    screen.draw(FRAME);
    expect(await stream.lines()).toEqual(['$ spillway load', ...FRAME]);
    screen.close();
    expect(await stream.lines()).toEqual(['$ spillway load']);
  });

  it('removes itself at its end, and lets others write as before', async () => {
    const { stream, screen } = start();
    screen.draw(FRAME);
    screen.close();
    expect(Object.hasOwn(stream, 'write')).toBe(false);
    stream.write('done\n');
    expect(await stream.lines()).toEqual(['$ spillway load', 'done']);
    expect(stream.written).not.toContain('\u001b[?25l');
  });

  it('begins below what the shell has written while the process was stopped', async () => {
    const { stream, screen } = start();
    screen.draw(['before']);
    ScreenStream.prototype.write.call(stream, '[1]+ Stopped\n$ fg\n');
    process.emit('SIGCONT');
    screen.draw(['after']);
    screen.close();
    expect(await stream.lines()).toEqual(['$ spillway load', 'before', '[1]+ Stopped', '$ fg']);
    expect(process.listenerCount('SIGCONT')).toBe(0);
  });
});
