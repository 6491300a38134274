/** Half-precision words: properties over all of them and over any number. */
import { assert, double, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { fromFloat16, toFloat16, numbersWeight, weightNumbers } from '../../src/onnx/index.ts';

const words = integer({ min: 0, max: 0xffff });
const isNaN16 = (word: number) => (word & 0x7c00) === 0x7c00 && (word & 0x3ff) !== 0;
const bfloat16 = (value: number) => weightNumbers(numbersWeight('bfloat16', [1], [value]))![0]!;

test('every float16 word but NaN survives the way to a number and back', () => {
  for (let word = 0; word <= 0xffff; word++) if (!isNaN16(word)) expect(toFloat16(fromFloat16(word))).toBe(word);
});

test('NaN words are NaN and stay NaN', () => {
  assert(
    property(words.filter(isNaN16), (word) => {
      expect(fromFloat16(word)).toBeNaN();
      expect(isNaN16(toFloat16(fromFloat16(word)))).toBe(true);
    }),
  );
});

test('a number becomes the nearest float16', () => {
  assert(
    property(double({ min: -65519, max: 65519, noNaN: true }), (value) => {
      const word = toFloat16(value);
      const error = Math.abs(fromFloat16(word) - value);
      for (const neighbour of [word - 1, word + 1])
        if (neighbour >= 0 && (neighbour & 0x7c00) !== 0x7c00 && (neighbour & 0x8000) === (word & 0x8000))
          expect(error).toBeLessThanOrEqual(Math.abs(fromFloat16(neighbour) - value));
    }),
    { numRuns: 2000 },
  );
});

test('ties go to the even word', () => {
  expect(fromFloat16(toFloat16(2049))).toBe(2048);
  expect(fromFloat16(toFloat16(2051))).toBe(2052);
  expect(toFloat16(2 ** -25)).toBe(0);
  expect(toFloat16(3 * 2 ** -25)).toBe(2);
});

test('what is too large becomes infinite, and signs stay', () => {
  expect(fromFloat16(toFloat16(65519))).toBe(65504);
  expect(fromFloat16(toFloat16(65520))).toBe(Number.POSITIVE_INFINITY);
  expect(fromFloat16(toFloat16(-1e9))).toBe(Number.NEGATIVE_INFINITY);
  expect(Object.is(fromFloat16(toFloat16(-0)), -0)).toBe(true);
});

test('a number becomes the nearest bfloat16', () => {
  assert(
    property(double({ min: -1e30, max: 1e30, noNaN: true }), (value) => {
      const single = Math.fround(value);
      expect(Math.abs(bfloat16(value) - single)).toBeLessThanOrEqual(Math.abs(single) * 2 ** -8 + 1e-40);
    }),
    { numRuns: 2000 },
  );
  expect(bfloat16(1 + 2 ** -8)).toBe(1);
  expect(bfloat16(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
  expect(bfloat16(Number.NaN)).toBeNaN();
  expect(bfloat16(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
});
