import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkTensors, readTensors, seededRandom } from '../../src/inputs/index.ts';
import { UserError, fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../../src/onnx/index.ts';
import type { DataType, ValueInfo } from '../../src/onnx/index.ts';

const x: ValueInfo = { name: 'x', type: 'float32', dims: ['batch', 2] };
const read = (document: unknown, ...inputs: ValueInfo[]) =>
  readTensors(typeof document === 'string' ? document : JSON.stringify(document), 'F.json', inputs);
const one = (type: DataType, data: unknown[]) =>
  read({ v: { dims: [data.length], type, data } }, { name: 'v', type, dims: [undefined] })['v']!.data;

describe('readTensors', () => {
  it('reads values into the type the model takes', () => {
    const tensors = read({ x: { dims: [1, 2], type: 'float32', data: [1, -2.5] } }, x);
    expect(tensors).toEqual({ x: { type: 'float32', dims: [1, 2], data: Float32Array.of(1, -2.5) } });
  });

  it("takes the model's type when none is written", () => {
    expect(read({ x: { dims: [1, 2], data: [1, 2] } }, x)['x']!.type).toBe('float32');
  });

  it('reads each type', () => {
    expect(one('int64', [1, '9223372036854775807', -5])).toEqual(BigInt64Array.of(1n, 2n ** 63n - 1n, -5n));
    expect(one('bool', [true, 0, 1, false])).toEqual(Uint8Array.of(1, 0, 1, 0));
    expect(one('float16', [1, -2, 65504])).toEqual(Uint16Array.of(0x3c00, 0xc000, 0x7bff));
    expect(one('bfloat16', [1])).toEqual(Uint16Array.of(0x3f80));
    expect(one('uint8', [0, 255])).toEqual(Uint8Array.of(0, 255));
    expect(one('string', ['a'])).toEqual(['a']);
  });

  it.each<[string, unknown, RegExp]>([
    ['an unknown input', { y: { dims: [1], data: [1] } }, /^the model has no input "y"; its inputs are "x"$/],
    ['a missing input', {}, /^input "x" is missing: the model needs float32 \[batch, 2\]$/],
    [
      'another type',
      { x: { dims: [1, 2], type: 'int64', data: [1, 2] } },
      /^input "x" has type int64, but the model takes float32$/,
    ],
    [
      'an unknown type',
      { x: { dims: [1, 2], type: 'float', data: [1, 2] } },
      /^input "x": unknown type "float"; use one of float32/,
    ],
    [
      'another rank',
      { x: { dims: [2], data: [1, 2] } },
      /^input "x" has dims \[2\], but the model takes \[batch, 2\]$/,
    ],
    [
      'another size',
      { x: { dims: [1, 3], data: [1, 2, 3] } },
      /^input "x" has dims \[1, 3\], but the model takes \[batch, 2\]$/,
    ],
    ['too few values', { x: { dims: [1, 2], data: [1] } }, /^input "x" has 1 values, but dims \[1, 2\] make 2$/],
    ['bad dims', { x: { dims: [-1, 2], data: [] } }, /"dims" must be a list of whole numbers/],
    ['nested data', { x: { dims: [1, 2], data: [[1, 2]] } }, /^input "x" has 1 values/],
    ['no data', { x: { dims: [1, 2] } }, /"data" must be a flat list/],
    [
      'null',
      { x: { dims: [1, 2], data: [1, null] } },
      /^input "x" has null at index 1; float32 takes finite numbers only$/,
    ],
    [
      'NaN',
      '{"x": {"dims": [1, 2], "data": [1, NaN]}}',
      /^input "x" has NaN at index 1; float32 takes finite numbers only$/,
    ],
    ['Infinity', '{"x": {"dims": [1, 2], "data": [-Infinity, 2]}}', /^input "x" has -Infinity at index 0/],
    [
      'a number too large',
      { x: { dims: [1, 2], data: [1, 1e300] } },
      /^input "x" has 1e\+300 at index 1, which is too large/,
    ],
    ['malformed JSON', '{"x": ', /^F.json is not valid JSON: /],
    ['a list', [], /^F.json: expected an object/],
    ['no object', { x: 3 }, /^input "x": expected \{ "dims"/],
  ])('refuses %s in one line', (_, document, message) => {
    const refuse = () => read(document, x);
    expect(refuse).toThrow(UserError);
    expect(refuse).toThrow(message);
  });

  it('refuses integers that do not fit', () => {
    expect(() => one('int64', [2 ** 60])).toThrow(/beyond 2\^53/);
    expect(() => one('int64', ['9223372036854775808'])).toThrow(/int64 goes from -9223372036854775808/);
    expect(() => one('int8', [1, 128])).toThrow('input "v" has 128 at index 1; int8 goes from -128 to 127');
    expect(() => one('int32', [1.5])).toThrow(/int32 takes whole numbers only/);
    expect(() => one('bool', [2])).toThrow(/bool takes true, false, 1 or 0/);
    expect(() => one('float16', [65520])).toThrow(/too large for float16/);
    expect(() => one('complex64', [1])).toThrow(/can't be given in a JSON file/);
  });
});

describe('checkTensors', () => {
  it('refuses NaN in tensors made by a program', () => {
    const tensors = { x: { type: 'float32', dims: [1, 2], data: Float32Array.of(0, NaN) } } as const;
    expect(() => checkTensors(tensors, [x])).toThrow('input "x" has NaN at index 1');
    const half = { x: { type: 'float16', dims: [1], data: Uint16Array.of(0x7c00) } } as const;
    expect(() => checkTensors(half, [{ name: 'x', type: 'float16', dims: undefined }])).toThrow('Infinity at index 0');
  });
});

describe('16-bit floats', () => {
  it('survive the way to a number and back', () => {
    for (let word = 0; word < 0x7c00; word++) if (toFloat16(fromFloat16(word)) !== word) expect.fail(`word ${word}`);
    for (let word = 0; word < 0x7f80; word += 7) expect(toBfloat16(fromBfloat16(word))).toBe(word);
  });

  it('are the nearest there are', () => {
    fc.assert(
      fc.property(fc.double({ min: -65504, max: 65504, noNaN: true }), (value) => {
        const word = toFloat16(value);
        const error = Math.abs(fromFloat16(word) - value);
        for (const near of [word - 1, word + 1])
          if (Number.isFinite(fromFloat16(near & 0xffff)))
            expect(error).toBeLessThanOrEqual(Math.abs(fromFloat16(near & 0xffff) - value));
      }),
    );
  });
});

function take(seed: number): number[] {
  return Array.from({ length: 4000 }, seededRandom(seed));
}

describe('seededRandom', () => {
  it('repeats itself for a seed, differs between seeds, and fills [0, 1) evenly', () => {
    expect(take(7)).toEqual(take(7));
    expect(take(7)).not.toEqual(take(8));
    const values = take(1);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(values.reduce((sum, value) => sum + value, 0) / 4000).toBeCloseTo(0.5, 1);
  });
});
