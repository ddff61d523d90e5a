import { describe, expect, it } from 'vitest';
import { keepShapeOf } from '../../../src/stream/kept-shapes.js';

describe('keepShapeOf', () => {
  it('makes one of each kind, although making one asks for it again', () => {
    const made: string[] = [];
    const make = (name: string): object => {
      keepShapeOf(make, () => make('kept'));
      made.push(name);
      return {};
    };
    make('first');
    make('second');
    expect(made).toEqual(['kept', 'first', 'second']);
  });
});
