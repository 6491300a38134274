import { expect, it } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { buildModel, row, withModel } from './graphs.ts';

const linear = buildModel(3, (b, x) => b.matmul(x, b.constant('float32', [3, 1], [1, 2, 3])));
const x = row([1, 1, 1]);
const two = { type: 'float32', dims: [2, 3], data: new Float32Array(6) } as const;
const ids = { type: 'int64', dims: [1, 3], data: new BigInt64Array(3) } as const;

it.each<[string, Partial<AttributeRequest>, RegExp]>([
  ['an input is missing', { inputs: {} }, /^input "x" is missing/],
  ['an input is one too many', { inputs: { x, z: x } }, /the model has no input "z"/],
  ['an input is of another type', { inputs: { x: ids } }, /^input "x" has type int64, but the model takes float32/],
  ['there is a batch of two', { inputs: { x: two } }, /batch of 1/],
  ['an input holds NaN', { inputs: { x: row([1, NaN, 1]) } }, /^input "x" has NaN at index 1/],
  ['a baseline has another shape', { baseline: { x: row([1, 2]) } }, /^the baseline of "x" is float32 \[1, 2\]/],
  ['a baseline has another type', { baseline: { x: ids } }, /^the baseline of "x" is int64/],
  ['a baseline is of no input', { baseline: { z: x } }, /^the baseline names input "z"/],
  ['a baseline holds NaN', { baseline: { x: row([0, NaN, 0]) } }, /^the baseline of "x" holds NaN/],
  ['the seed is no number', { seed: NaN }, /^seed must be a whole number/],
])('one line says so when %s, before the model runs', (_what, request, message) =>
  withModel(linear, async (host) => {
    const target = { label: '0', indices: [0] };
    await expect(attribute(host, { inputs: { x }, target, ...request })).rejects.toThrow(message);
  }),
);
