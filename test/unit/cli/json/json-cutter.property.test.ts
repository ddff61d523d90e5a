/** Objects in every layout of JSON: the records are those of JSON.parse, with their numbers as they are written. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonCutter } from '../../../../src/cli/json/json-cutter.js';
import type { JsonShape } from '../../../../src/cli/json/json-reading.js';
import type { SourceFile } from '../../../../src/cli/input/source.js';
import { fastCheckRuns } from '../../../support/test-runs.js';

const FILE: SourceFile = { name: 'f.json', path: undefined, sizeBytes: undefined };
const LIMIT = 10_000;

/** JSON, so that numbers keep their text. */
type Json = string;

interface Style {
  readonly space: string;
  readonly lineEnd: string;
}

/** A value before it is written: a function of the white space between its tokens. */
type Written = (style: Style) => Json;

const scalars = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => JSON.stringify(text)),
  fc.constantFrom('1.10', '-0', '1e400', '12345678901234567890', '0.0000001', 'true', 'false', 'null', '7'),
  fc.constantFrom('"\\"', '"a\\\\"', '"}]"', '"{[,:"', '"\\u001e\\n"', '"\\ud83d"').map((json) => (json === '"\\"' ? '"\\""' : json)),
); // prettier-ignore

const keys = fc.constantFrom('a', 'b', 'id', 'data', 'geometry', 'type', 'é', '__proto__', 'x"y');

const { value: values, object: objects } = fc.letrec<{ value: Written; object: Written; array: Written }>(
  (tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      scalars.map((json) => () => json),
      tie('array'),
      tie('object'),
    ),
    array: fc.array(tie('value'), { maxLength: 3 }).map((items) => (style: Style) => join('[', items.map((item) => item(style)), ']', style)),
    object: fc
      .uniqueArray(fc.tuple(keys, tie('value')), { maxLength: 4, selector: ([key]) => key })
      .map((members) => (style: Style) => joinMembers(members, style)),
  }),
); // prettier-ignore

function join(open: string, items: readonly string[], close: string, { space, lineEnd }: Style): string {
  const gap = space === '' ? '' : lineEnd + space;
  return open + gap + items.join(`${gap},${gap}`) + gap + close;
}

function joinMembers(members: readonly (readonly [string, Written])[], style: Style): string {
  const written = members.map(
    ([key, value]) => `${JSON.stringify(key)}${style.space}:${style.space}${value(style)}`,
  );
  return join('{', written, '}', style);
}

const styles: fc.Arbitrary<Style> = fc.record({
  space: fc.constantFrom('', ' ', '\t', '    '),
  lineEnd: fc.constantFrom('', '\n', '\r\n'),
});

function cut(text: string, sizes: readonly number[]) {
  const shapes: JsonShape[] = [];
  const cutter = new JsonCutter(FILE, { maxRecordBytes: LIMIT, onShape: (shape) => shapes.push(shape) });
  const bytes = Buffer.from(text);
  let written = '';
  let at = 0;
  for (let index = 0; at < bytes.length; index += 1) {
    const size = sizes.length === 0 ? bytes.length : sizes[index % sizes.length]!;
    // A copy: the memory of a chunk is used again.
    const chunk = Buffer.from(bytes.subarray(at, at + size));
    const output = cutter.convert(chunk, false);
    written += output.toString('latin1');
    chunk.fill(0);
    at += size;
  }
  written += cutter.convert(Buffer.alloc(0), true).toString('latin1');
  const lines = Buffer.from(written, 'latin1').toString('utf8').split('\n');
  expect(lines.pop()).toBe('');
  return { lines, shapes };
}

/** Numbers by their text. */
function parse(json: string): unknown {
  return JSON.parse(json.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) => (token.startsWith('"') ? token : `{"number":"${token}"}`))); // prettier-ignore
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 5 });

describe('JsonCutter', () => {
  it('cuts an array into the elements of JSON.parse', () => {
    fc.assert(
      fc.property(fc.array(objects, { maxLength: 6 }), styles, sizes, (records, style, chunks) => {
        const written = records.map((record) => record(style));
        const { lines, shapes } = cut(join('[', written, ']', style), chunks);
        expect(lines.map(parse)).toEqual(written.map(parse));
        expect(shapes).toEqual([{ kind: 'array' }]);
      }),
      fastCheckRuns(1_000),
    );
  });

  it('cuts objects that follow one another, with white space or record separators between', () => {
    const between = fc.constantFrom('', ' ', '\n', '\r\n', '\n\n', '\n\u001e', '\u001e');
    fc.assert(
      fc.property(fc.array(objects, { minLength: 2, maxLength: 6 }), between, styles, sizes, (records, gap, style, chunks) => {
        const written = records.map((record) => record(style));
        const { lines, shapes } = cut((gap.endsWith('\u001e') ? '\u001e' : '') + written.join(gap), chunks);
        expect(lines.map(parse)).toEqual(written.map(parse));
        expect(shapes).toEqual([{ kind: 'objects' }]);
      }),
      fastCheckRuns(1_000),
    ); // prettier-ignore
  });

  it('cuts the one list of objects of a wrapper, wherever it stands', () => {
    const others = fc.uniqueArray(fc.tuple(fc.constantFrom<string>('m', 'n', 'type', 'features'), values), { maxLength: 3, selector: ([key]) => key }); // prettier-ignore
    fc.assert(
      fc.property(fc.array(objects, { minLength: 1, maxLength: 6 }), others, fc.nat(), styles, sizes, (records, more, place, style, chunks) => {
        const members = more.filter(([, value]) => !/^\[\s*\{/.test(value(style)));
        const list: Written = () => join('[', records.map((record) => record(style)), ']', style);
        members.splice(place % (members.length + 1), 0, ['list', list]);
        const { lines, shapes } = cut(joinMembers(members, style), chunks);
        expect(lines.map(parse)).toEqual(records.map((record) => parse(record(style))));
        expect(shapes).toEqual([{ kind: 'list', key: 'list' }]);
      }),
      fastCheckRuns(1_000),
    ); // prettier-ignore
  });

  it('makes a record of each feature: its properties, geometry and id', () => {
    const features = fc.record({ properties: objects, geometry: values, id: fc.option(scalars, { nil: undefined }), isFirst: fc.boolean() }); // prettier-ignore
    fc.assert(
      fc.property(fc.array(features, { maxLength: 6 }), styles, sizes, fc.boolean(), (list, style, chunks, typeLast) => {
        const expected = list.map(({ properties, geometry, id }) => {
          const clashes = list.some((feature) => Object.hasOwn(parse(feature.properties(style)) as object, 'geometry'));
          const idClashes = list.some((feature) => Object.hasOwn(parse(feature.properties(style)) as object, 'id'));
          return {
            ...(parse(properties(style)) as object),
            [clashes ? 'geometry_2' : 'geometry']: parse(geometry(style)),
            ...(id === undefined ? {} : { [idClashes ? 'id_2' : 'id']: parse(id) }),
          };
        });
        const written: Written[] = list.map(({ properties, geometry, id, isFirst }) => () => {
          const members: [string, Written][] = [['properties', properties], ['geometry', geometry], ['bbox', () => '[1, 2]']];
          if (id !== undefined) members.push(['id', () => id]);
          members.splice(isFirst ? 0 : 2, 0, ['type', () => '"Feature"']);
          return joinMembers(members, style);
        });
        const members: [string, Written][] = [['links', () => '[{"a":1}]'], ['features', () => join('[', written.map((w) => w(style)), ']', style)]];
        members.splice(typeLast ? 2 : 0, 0, ['type', () => '"FeatureCollection"']);
        const { lines, shapes } = cut(joinMembers(members, style), chunks);
        expect(lines.map(parse)).toEqual(expected);
        expect(shapes).toEqual(list.length === 0 ? [] : [{ kind: 'features' }]);
      }),
      fastCheckRuns(1_000),
    ); // prettier-ignore
  });

  it.each([
    ['a missing bracket', '[{"a":1},\n{"a":2}', 1, /array.*not closed/],
    ['a missing bracket within an object', '[\n{"a":[1},{"a":2}]', 1, /not closed/],
    ['a missing brace at the end', '{"a":1}\n{"a":', 2, /object.*not closed/],
    ['a missing brace of the only object', '{"a":1', 1, /not closed/],
    ['a missing brace of a wrapper', '{"a":[{"b":1}]', 1, /not closed/],
    ['a trailing comma', '[{"a":1},\n]', 2, /expected a value after record 1, got \]/],
    ['two commas', '[{"a":1},,{"a":1}]', 1, /expected a value/],
    ['a missing comma', '[{"a":1}\n\n{"a":1}]', 3, /expected , or \] after record 1, got \{/],
    ['text behind the array', '[{"a":1}]\nx', 2, /expected the end of the file after record 1, got x/],
    ['a second array', '[{"a":1}]\n[{"a":2}]', 2, /expected the end of the file.*got \[/],
    ['an array behind objects', '{"a":1}\n[{"a":2}]', 2, /expected an object.*got \[/],
    ['a comma between objects', '{"a":1},{"a":2}', 1, /expected an object after record 1, got ,/],
    ['two lists', '{"a":[{"b":1}],"c":[{"d":1}]}', 1, /several lists.*"a", "c"/],
    ['a trailing comma in a wrapper', '{"a":[{"b":1}],}', 1, /key in quotes.*got \}/],
    ['a line break within text', '[{"a":"x\ny"}]', 1, /line break within text/],
    ['a number', '5', 1, /expected an array or an object, got 5/],
    ['damage in another member of a wrapper', '{"m":[1,,2],\n"a":[{"b":1}]}', 1, /"m" is not JSON/],
    ['an element that is no feature', '{"type":"FeatureCollection","features":[\n{"a":1}]}', 2, /not a feature/],
  ])('refuses %s, with the line', (_name, text, line, message) => {
    for (const chunks of [[], [1], [3]]) {
      expect(() => cut(text, chunks)).toThrow(expect.objectContaining({ line, message: expect.stringMatching(message) as string }));
    }
  }); // prettier-ignore

  it('streams a list that is longer than the longest record', () => {
    const record = `{"a":"${'x'.repeat(100)}"}`;
    const list = `[${Array.from({ length: 500 }, () => record).join(',\n')}]`;
    const { lines } = cut(`{"m":1,"data":${list},"n":[1]}`, [1000]);
    expect(lines).toEqual(Array.from({ length: 500 }, () => record));
    expect(() => cut(`{"data":${list},"more":[{}]}`, [1000])).toThrow(/"data", "more"/);
    const big = `{"a":"${'x'.repeat(2 * LIMIT)}"}`;
    expect(() => cut(big, [1000])).toThrow(/--max-record-bytes/);
  });

  it('refuses a property that clashes after the sample', () => {
    const feature = (name: string) =>
      `{"type":"Feature","properties":{"${name}":"${'x'.repeat(1000)}"},"geometry":null}`;
    const many = Array.from({ length: 30 }, () => feature('a')).join(',');
    const text = `{"type":"FeatureCollection","features":[${many},${feature('geometry')}]}`;
    expect(() => cut(text, [1000])).toThrow(/the property "geometry"/);
  });
});
