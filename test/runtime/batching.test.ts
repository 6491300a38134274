import { expect, test } from 'vitest';
import { GraphBuilder, activationBytes } from '../../src/index.ts';
import { makeModel } from '../models.ts';

const BYTES = 4 * 100;

function builderOver(dims: readonly (number | string)[]): { b: GraphBuilder; x: string } {
  const inputs = [{ name: 'x', type: 'float32', dims }] as const;
  return { b: new GraphBuilder(makeModel({ inputs, outputs: [], nodes: [] })), x: 'x' };
}

/** x -> Relu -> Neg -> Abs ... over [rows, 100] */
function chain(length: number): GraphBuilder {
  const { b, x } = builderOver(['rows', 100]);
  let value = x;
  for (let index = 0; index < length; index++) value = index % 2 === 0 ? b.neg(value) : b.abs(value);
  b.addOutput(value, 'y');
  return b;
}

test('in a chain no more than a value and its successor are alive at once', () => {
  const bytes = activationBytes(chain(10).build(), { x: [3, 100] });
  expect(bytes).toBeGreaterThanOrEqual(2 * 3 * BYTES);
  expect(bytes).toBeLessThanOrEqual(3 * 3 * BYTES);
});

test('a value that the last node reads is counted until then', () => {
  const { b, x } = builderOver(['rows', 100]);
  const kept = b.neg(x);
  let value = kept;
  for (let index = 0; index < 6; index++) value = index % 2 === 0 ? b.abs(value) : b.neg(value);
  b.addOutput(b.add(value, kept), 'y');
  expect(activationBytes(b.build(), { x: [1, 100] })).toBe(3 * BYTES);
});

test('a view takes no memory but keeps what it looks at alive', () => {
  const { b, x } = builderOver(['rows', 100]);
  const seen = b.unsqueeze(b.neg(x), [0]);
  b.addOutput(b.mul(b.abs(seen), seen), 'y');
  expect(activationBytes(b.build(), { x: [1, 100] })).toBe(3 * BYTES);
});
