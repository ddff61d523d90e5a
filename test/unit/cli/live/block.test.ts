import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import stringWidth from 'string-width';
import { layout, type Block } from '../../../../src/cli/live/block.js';
import { bar, createStyle, latency, sparkline } from '../../../../src/cli/live/style.js';

const PLAIN = createStyle({ isUnicode: true, hasColours: false });
const ASCII = createStyle({ isUnicode: false, hasColours: false });
const COLOURED = createStyle({ isUnicode: true, hasColours: true });

function block(style = PLAIN): Block {
  return {
    title: 'flights-3m.csv into "flights" of localhost:5432/postgres',
    elapsed: '12 s',
    rows: [
      {
        label: 'read',
        parts: [{ text: '54 % of 222.8 MiB' }, { text: 'ETA 10 s' }, { text: '18.1 MiB/s' }],
        chart: (width) => bar(0.54, width, style),
      },
      {
        label: 'rows',
        parts: [{ text: '1,622,016' }, { text: '168,220/s' }, { text: '160,410/s in the mean' }],
        chart: (width) => style.paint.chart(sparkline([0, 1, 2, 3, 4, 5, 6, 7].slice(0, width), 7, style)),
      },
      { label: 'server', parts: [{ text: '3 of 4 connections busy' }, { text: '0 retries' }] },
    ],
    notes: [{ text: 'waiting for a lock, next attempt in 3 s', tone: 'warn' }],
    short: [{ text: '54 %' }, { text: '1,622,016 rows' }, { text: '168,220/s' }, { text: 'ETA 10 s' }],
  };
}

const ROOM = { rows: 24 };

describe('the block', () => {
  it('has charts in a column of their own if there is room', () => {
    expect(layout(block(), { columns: 80, ...ROOM }, PLAIN)).toEqual([
      'flights-3m.csv into "flights" of localhost:5432/postgres                   12 s',
      'read     54 % of 222.8 MiB, ETA 10 s, 18.1 MiB/s         ███████████▉░░░░░░░░░░',
      'rows     1,622,016, 168,220/s, 160,410/s in the mean     ▁▂▃▄▅▆▇█',
      'server   3 of 4 connections busy, 0 retries',
      'waiting for a lock, next attempt in 3 s',
    ]);
  });

  it('leaves out parts of texts, then charts, as it becomes narrower', () => {
    expect(layout(block(), { columns: 52, ...ROOM }, PLAIN)).toEqual([
      'flights-3m.csv into "f…ocalhost:5432/postgres  12 s',
      'read     54 % of 222.8 MiB, ETA 10 s     █████▍░░░░',
      'rows     1,622,016, 168,220/s            ▁▂▃▄▅▆▇█',
      'server   3 of 4 connections busy, 0 retries',
      'waiting for a lock, next attempt in 3 s',
    ]);
    expect(layout(block(), { columns: 40, ...ROOM }, PLAIN)[1]).toBe('read     54 % of 222.8 MiB, ETA 10 s');
  });

  it('is one line below 40 columns, and if the terminal is too low for it', () => {
    const line = 'waiting for a lock, next attempt in 3 s, 54 %, 1,622,016 rows, 168,220/s, ETA 10 s';
    expect(layout(block(), { columns: 100, rows: 5 }, PLAIN)).toEqual([line]);
    expect(layout(block(), { columns: 100, rows: 6 }, PLAIN)).toHaveLength(5);
    expect(layout({ ...block(), notes: [] }, { columns: 39, ...ROOM }, PLAIN)).toEqual([
      '54 %, 1,622,016 rows, 168,220/s',
    ]);
  });

  it('never fills the last column, and has the same lines with colours, from 1 to 200 columns', () => {
    for (let columns = 1; columns <= 200; columns += 1) {
      const lines = layout(block(COLOURED), { columns, ...ROOM }, COLOURED);
      for (const line of lines) expect(stringWidth(line)).toBeLessThan(Math.max(2, columns));
      expect(lines.map(stripVTControlCharacters)).toEqual(layout(block(), { columns, ...ROOM }, PLAIN));
    }
  });

  it('has no colours without them, and only ASCII if there is no more', () => {
    const plain = layout(block(), { columns: 30, ...ROOM }, PLAIN).concat(
      layout(block(), { columns: 90, ...ROOM }, PLAIN),
    );
    expect(plain.join('')).not.toContain('\u001b');
    const lines = layout(block(ASCII), { columns: 52, ...ROOM }, ASCII);
    expect(lines.join('')).toMatch(/^[ -~]+$/);
    expect(lines.slice(0, 3)).toEqual([
      'flights-3m.csv into "f~ocalhost:5432/postgres  12 s',
      'read     54 % of 222.8 MiB, ETA 10 s     #####.....',
      'rows     1,622,016, 168,220/s            _.:-=+*#',
    ]);
  });

  it('shows control characters of names as escapes, and counts wide characters as two columns', () => {
    const hostile = { ...block(), title: '\u001b[2J航班.csv' };
    const [title] = layout(hostile, { columns: 60, ...ROOM }, PLAIN);
    expect(title).toMatch(/^\\x1b\[2J航班\.csv +12 s$/);
    expect(stringWidth(title!)).toBe(59);
  });
});

describe('charts and numbers', () => {
  it('a value above 0 is never shown as none', () => {
    expect(sparkline([0, 0.001, 0.5, 0.99, 1], 1, PLAIN)).toBe('▁▂▅██');
    expect(sparkline([0, 0], 0, PLAIN)).toBe('▁▁');
  });

  it('a bar is full only when everything is done', () => {
    expect(bar(0.999, 10, PLAIN)).not.toBe('█'.repeat(10));
    expect(bar(1, 10, PLAIN)).toBe('█'.repeat(10));
    expect(bar(7, 10, ASCII)).toBe('#'.repeat(10));
  });

  it.each([
    [0.42, '0.4 ms'],
    [48.4, '48 ms'],
    [1_234, '1.2 s'],
  ])('a latency of %d ms is %s', (milliseconds, text) => {
    expect(latency(milliseconds)).toBe(text);
  });
});
