import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstNotFinite } from '../../src/onnx/index.ts';

test('the first number that is not finite is found, in single and in double precision', () => {
  fc.assert(
    fc.property(fc.array(fc.float()), (given) => {
      const expected = given.findIndex((each) => !Number.isFinite(each));
      expect(firstNotFinite(Float32Array.from(given))).toBe(expected);
      expect(firstNotFinite(Float64Array.from(given))).toBe(expected);
    }),
  );
});

test('numbers that are nearly too large, or nearly zero, are finite, and a view into others sees its own', () => {
  const ends = [3.4028234663852886e38, -3.4028234663852886e38, 1e-45, -0, 0];
  expect(firstNotFinite(Float32Array.from(ends))).toBe(-1);
  expect(firstNotFinite(Float32Array.of(Infinity, 1, 2, Number.NaN).subarray(1))).toBe(2);
  expect(firstNotFinite(Float64Array.of(1e300, -Infinity))).toBe(1);
});
