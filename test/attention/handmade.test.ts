/** One attention layer, written by hand in the ways exporters and people write it: found, captured, and measured alike. */
import { afterAll, describe, expect, test } from 'vitest';
import { analyseAttention, attentionNorms, captureAttention, locateAttention } from '../../src/attention/index.ts';
import type { Model, NamedTensors, Node } from '../../src/onnx/index.ts';
import { int, ints, numbersWeight, string, writeModel } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import { testFolder } from '../folder.ts';
import { makeModel, makeNode as node } from '../models.ts';
import { difference } from './references.ts';

const [BATCH, LENGTH, HIDDEN, HEADS] = [2, 5, 8, 2];
const SIZE = HIDDEN / HEADS;

/** Numbers that look random and are always the same. */
function noise(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, at) => Math.sin(12.9898 * (at + 1) + 78.233 * seed) * 1.3);
}
const [WQ, WK, WV, WO] = [1, 2, 3, 4].map((seed) => noise(HIDDEN * HIDDEN, seed)) as [
  number[],
  number[],
  number[],
  number[],
];
const X = noise(BATCH * LENGTH * HIDDEN, 5);

/** [batch, heads, queries, keys], in doubles. */
function expected(seen: (query: number, key: number) => boolean): number[] {
  const project = (w: readonly number[], row: number, column: number) => {
    let sum = 0;
    for (let at = 0; at < HIDDEN; at++) sum += X[row * HIDDEN + at]! * w[at * HIDDEN + column]!;
    return sum;
  };
  const result: number[] = [];
  for (let batch = 0; batch < BATCH; batch++)
    for (let head = 0; head < HEADS; head++)
      for (let query = 0; query < LENGTH; query++) {
        const weights = Array.from({ length: LENGTH }, (_, key) => {
          if (!seen(query, key)) return 0;
          let score = 0;
          for (let at = head * SIZE; at < (head + 1) * SIZE; at++)
            score += project(WQ, batch * LENGTH + query, at) * project(WK, batch * LENGTH + key, at);
          return Math.exp(score / Math.sqrt(SIZE));
        });
        const total = weights.reduce((sum, each) => sum + each, 0);
        result.push(...weights.map((each) => each / total));
      }
  return result;
}

const floats = (dims: readonly number[], data: readonly number[]) => numbersWeight('float32', dims, data);
const longs = (...data: readonly number[]) => numbersWeight('int64', [data.length], data);
const long = (value: number) => numbersWeight('int64', [], [value]);

type Weights = readonly (readonly [string, ReturnType<typeof floats>])[];

const SQUARES: Weights = [
  ['wq', floats([HIDDEN, HIDDEN], WQ)],
  ['wk', floats([HIDDEN, HIDDEN], WK)],
  ['wv', floats([HIDDEN, HIDDEN], WV)],
  ['wo', floats([HIDDEN, HIDDEN], WO)],
  ['scale', floats([], [1 / Math.sqrt(SIZE)])],
];
/** wq, wk and wv beside each other, [hidden, 3 * hidden]. */
const QKV = Array.from({ length: HIDDEN }, (_, row) =>
  [WQ, WK, WV].flatMap((w) => w.slice(row * HIDDEN, (row + 1) * HIDDEN)),
).flat();

const model = (nodes: readonly Node[], initializers: Weights): Model =>
  makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 'sequence', HIDDEN] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['batch', 'sequence', HIDDEN] }],
    nodes: [...nodes, node('Add', ['x', 'o'], ['y'])],
    initializers,
  });

/** The shape of x taken apart and put together again, as tf2onnx and hand-written exporters do: [batch, sequence, ...rest]. */
const shapeOf = (name: string, ...rest: readonly string[]): Node[] => [
  node('Shape', ['x'], [`${name}_shape`]),
  node('Gather', [`${name}_shape`, 'zero'], [`${name}_b`]),
  node('Slice', [`${name}_shape`, 'ones', 'twos'], [`${name}_n`]),
  node('Unsqueeze', [`${name}_b`, 'zeros'], [`${name}_b1`]),
  node('Concat', [`${name}_b1`, `${name}_n`, ...rest], [name], { axis: int(0) }),
];
const SHAPES: Weights = [
  ['zero', long(0)],
  ['zeros', longs(0)],
  ['ones', longs(1)],
  ['twos', longs(2)],
  ['heads', longs(HEADS)],
  ['size', longs(SIZE)],
  ['hidden', longs(HIDDEN)],
];

/** From q [b, h, n, d], kt [b, h, d, n] and v [b, h, n, d] to o. */
const core = (score: readonly Node[] = [node('Mul', ['qk', 'scale'], ['s'])]): Node[] => [
  node('MatMul', ['q', 'kt'], ['qk']),
  ...score,
  node('Softmax', ['s'], ['p'], { axis: int(-1) }),
  node('MatMul', ['p', 'v'], ['c']),
  node('Transpose', ['c'], ['c1'], { perm: ints([0, 2, 1, 3]) }),
  ...shapeOf('joined', 'hidden'),
  node('Reshape', ['c1', 'joined'], ['c2']),
  node('MatMul', ['c2', 'wo'], ['o']),
];
const parted = (name: string, from: string, perm: readonly number[], to = name): Node[] => [
  node('Reshape', [from, 'split'], [`${name}_4`]),
  node('Transpose', [`${name}_4`], [to], { perm: ints(perm) }),
];
const threeProjections: Node[] = [
  node('MatMul', ['x', 'wq'], ['q0']),
  node('MatMul', ['x', 'wk'], ['k0']),
  node('MatMul', ['x', 'wv'], ['v0']),
];
const shaped: Node[] = [
  ...shapeOf('split', 'heads', 'size'),
  ...parted('q', 'q0', [0, 2, 1, 3]),
  ...parted('k', 'k0', [0, 2, 3, 1], 'kt'),
  ...parted('v', 'v0', [0, 2, 1, 3]),
];

const lower = Array.from({ length: 64 }, (_, at) => (at % 8 <= Math.floor(at / 8) ? 0 : -1e9));

const FORMS: Readonly<Record<string, Model>> = {
  'shapes by Shape, Gather, Slice and Concat': model(
    [...threeProjections, ...shaped, ...core()],
    [...SQUARES, ...SHAPES],
  ),
  'keys transposed twice': model(
    [
      ...threeProjections,
      ...shapeOf('split', 'heads', 'size'),
      ...parted('q', 'q0', [0, 2, 1, 3]),
      ...parted('k', 'k0', [0, 2, 1, 3]),
      node('Transpose', ['k'], ['kt'], { perm: ints([0, 1, 3, 2]) }),
      ...parted('v', 'v0', [0, 2, 1, 3]),
      ...core(),
    ],
    [...SQUARES, ...SHAPES],
  ),
  'queries scaled before the product': model(
    [
      ...threeProjections,
      node('Mul', ['q0', 'scale'], ['qs']),
      ...shapeOf('split', 'heads', 'size'),
      ...parted('q', 'qs', [0, 2, 1, 3]),
      ...parted('k', 'k0', [0, 2, 3, 1], 'kt'),
      ...parted('v', 'v0', [0, 2, 1, 3]),
      ...core([node('Identity', ['qk'], ['s'])]),
    ],
    [...SQUARES, ...SHAPES],
  ),
  'one product for queries, keys and values, split': model(
    [
      node('MatMul', ['x', 'wqkv'], ['qkv']),
      node('Split', ['qkv', 'thirds'], ['q0', 'k0', 'v0'], { axis: int(2) }),
      ...shaped,
      ...core(),
    ],
    [...SQUARES, ...SHAPES, ['wqkv', floats([HIDDEN, 3 * HIDDEN], QKV)], ['thirds', longs(HIDDEN, HIDDEN, HIDDEN)]],
  ),
  'one product, reshaped to [batch, sequence, 3, heads, size] and indexed': model(
    [
      node('MatMul', ['x', 'wqkv'], ['qkv']),
      ...shapeOf('five', 'threes', 'heads', 'size'),
      node('Reshape', ['qkv', 'five'], ['qkv5']),
      node('Transpose', ['qkv5'], ['qkvt'], { perm: ints([2, 0, 3, 1, 4]) }),
      node('Gather', ['qkvt', 'zero'], ['q']),
      node('Gather', ['qkvt', 'one'], ['k']),
      node('Gather', ['qkvt', 'two'], ['v']),
      node('Transpose', ['k'], ['kt'], { perm: ints([0, 1, 3, 2]) }),
      ...core(),
    ],
    [
      ...SQUARES,
      ...SHAPES,
      ['wqkv', floats([HIDDEN, 3 * HIDDEN], QKV)],
      ['threes', longs(3)],
      ['one', long(1)],
      ['two', long(2)],
    ],
  ),
  'heads within the batch, three axes': model(
    [
      ...threeProjections,
      ...shapeOf('split', 'heads', 'size'),
      ...parted('q', 'q0', [0, 2, 1, 3], 'q4'),
      ...parted('k', 'k0', [0, 2, 3, 1], 'k4'),
      ...parted('v', 'v0', [0, 2, 1, 3], 'v4'),
      node('Shape', ['q4'], ['s4']),
      node('Slice', ['s4', 'twos', 'fours'], ['tail']),
      node('Concat', ['minus', 'tail'], ['three'], { axis: int(0) }),
      node('Shape', ['k4'], ['sk4']),
      node('Slice', ['sk4', 'twos', 'fours'], ['ktail']),
      node('Concat', ['minus', 'ktail'], ['kthree'], { axis: int(0) }),
      node('Reshape', ['q4', 'three'], ['q']),
      node('Reshape', ['k4', 'kthree'], ['kt']),
      node('Reshape', ['v4', 'three'], ['v']),
      node('MatMul', ['q', 'kt'], ['qk']),
      node('Mul', ['qk', 'scale'], ['s']),
      node('Softmax', ['s'], ['p'], { axis: int(-1) }),
      node('MatMul', ['p', 'v'], ['c0']),
      node('Reshape', ['c0', 's4'], ['c']),
      node('Transpose', ['c'], ['c1'], { perm: ints([0, 2, 1, 3]) }),
      ...shapeOf('joined', 'hidden'),
      node('Reshape', ['c1', 'joined'], ['c2']),
      node('MatMul', ['c2', 'wo'], ['o']),
    ],
    [...SQUARES, ...SHAPES, ['fours', longs(4)], ['minus', longs(-1)]],
  ),
  'Einsum throughout, as Keras writes it': model(
    [
      node('Einsum', ['x', 'wq'], ['q'], { equation: string('abc,cde->abde') }),
      node('Einsum', ['x', 'wk'], ['k'], { equation: string('abc,cde->abde') }),
      node('Einsum', ['x', 'wv'], ['v'], { equation: string('abc,cde->abde') }),
      node('Mul', ['q', 'scale'], ['qs']),
      node('Einsum', ['k', 'qs'], ['s'], { equation: string('aecd,abcd->acbe') }),
      node('Softmax', ['s'], ['p'], { axis: int(3) }),
      node('Einsum', ['p', 'v'], ['c'], { equation: string('acbe,aecd->abcd') }),
      node('Einsum', ['c', 'wo'], ['o'], { equation: string('abcd,cde->abe') }),
    ],
    [
      ['wq', floats([HIDDEN, HEADS, SIZE], WQ)],
      ['wk', floats([HIDDEN, HEADS, SIZE], WK)],
      ['wv', floats([HIDDEN, HEADS, SIZE], WV)],
      ['wo', floats([HEADS, SIZE, HIDDEN], WO)],
      ['scale', floats([], [1 / Math.sqrt(SIZE)])],
    ],
  ),
  'Einsum for the two products, with an ellipsis': model(
    [
      ...threeProjections,
      ...shapeOf('split', 'heads', 'size'),
      ...parted('q', 'q0', [0, 2, 1, 3]),
      ...parted('k', 'k0', [0, 2, 1, 3]),
      ...parted('v', 'v0', [0, 2, 1, 3]),
      node('Einsum', ['q', 'k'], ['qk'], { equation: string('...id,...jd->...ij') }),
      node('Mul', ['qk', 'scale'], ['s']),
      node('Softmax', ['s'], ['p'], { axis: int(-1) }),
      node('Einsum', ['p', 'v'], ['c'], { equation: string('bhij,bhjd->bihd') }),
      ...shapeOf('joined', 'hidden'),
      node('Reshape', ['c', 'joined'], ['c2']),
      node('MatMul', ['c2', 'wo'], ['o']),
    ],
    [...SQUARES, ...SHAPES],
  ),
  'a mask of -inf over the last key': model(
    [
      ...threeProjections,
      ...shaped,
      ...core([node('Mul', ['qk', 'scale'], ['unmasked']), node('Add', ['unmasked', 'mask'], ['s'])]),
    ],
    [...SQUARES, ...SHAPES, ['mask', floats([1, 1, 1, LENGTH], [0, 0, 0, 0, -Infinity])]],
  ),
  'a causal mask sliced from a constant to the length': model(
    [
      ...threeProjections,
      ...shaped,
      node('Slice', ['mask', 'origin', 'ends', 'axes'], ['own']),
      node('Concat', ['split_n', 'split_n'], ['ends'], { axis: int(0) }),
      ...core([node('Mul', ['qk', 'scale'], ['unmasked']), node('Add', ['unmasked', 'own'], ['s'])]),
    ].toSorted((left, right) => Number(right.outputs[0] === 'ends') - Number(left.outputs[0] === 'ends')),
    [...SQUARES, ...SHAPES, ['mask', floats([1, 1, 8, 8], lower)], ['origin', longs(0, 0)], ['axes', longs(2, 3)]],
  ),
};

const folder = testFolder('handmade');
const hosts: ModelHost[] = [];
afterAll(async () => {
  for (const host of hosts) await host.release();
});
async function open(name: string): Promise<{ host: ModelHost; tensors: NamedTensors }> {
  const file = folder.write(`${Object.keys(FORMS).indexOf(name)}.onnx`, writeModel(FORMS[name]!));
  const host = await ModelHost.open(file, { cache: false, threads: 1 });
  hosts.push(host);
  return { host, tensors: { x: { type: 'float32', dims: [BATCH, LENGTH, HIDDEN], data: Float32Array.from(X) } } };
}
const first = (tensors: NamedTensors): NamedTensors => ({
  x: { type: 'float32', dims: [1, LENGTH, HIDDEN], data: Float32Array.from(X.slice(0, LENGTH * HIDDEN)) },
  ...(tensors['x'] === undefined ? tensors : {}),
});

describe.each(Object.keys(FORMS))('%s', (name) => {
  const causal = name.includes('causal');

  test('is found, and its probabilities are those of the formula', async () => {
    const { host, tensors } = await open(name);
    const blocks = locateAttention(host.model);
    expect(blocks.map(({ kind, heads, layer }) => [kind, heads, layer])).toEqual([
      [causal ? 'decoder' : 'encoder', HEADS, 0],
    ]);
    const [found] = await captureAttention(host, tensors, { values: ['probabilities', 'entropy', 'distance'] });
    const { probabilities, entropy } = found!.values as Record<string, { dims: number[]; data: Float32Array }>;
    expect(probabilities!.dims).toEqual([BATCH, HEADS, LENGTH, LENGTH]);
    const plain = expected((query, key) => (causal ? key <= query : !name.includes('-inf') || key < LENGTH - 1));
    expect(difference(probabilities!.data, plain)).toBeLessThan(1e-5);
    const means = Array.from({ length: BATCH * HEADS }, (_, head) => {
      const own = plain.slice(head * LENGTH ** 2, (head + 1) * LENGTH ** 2);
      return own.reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0) / LENGTH;
    });
    expect(difference(entropy!.data, means)).toBeLessThan(1e-5);
  });

  test('is followed by its output projection: norms are those of the first form', async () => {
    const { host, tensors } = await open(name);
    const other = await open(name.includes('mask') ? name : Object.keys(FORMS)[0]!);
    const [own] = await attentionNorms(host, first(tensors), { of: 'residual' });
    const [theirs] = await attentionNorms(other.host, first(tensors), { of: 'residual' });
    expect(own!.norms.dims).toEqual([LENGTH, LENGTH]);
    expect(difference(own!.norms.data, theirs!.norms.data)).toBeLessThan(1e-4);
    const values = ['queries', 'keys', 'values', 'context'] as const;
    const [captured] = await captureAttention(host, tensors, { values });
    const [same] = await captureAttention(other.host, tensors, { values });
    for (const value of name === 'queries scaled before the product'
      ? (['keys', 'values', 'context'] as const)
      : values) {
      // Where the queries are scaled they are so before the product.
      if (value === 'queries' && name.startsWith('Einsum throughout')) continue;
      expect(captured!.values[value]!.dims, value).toEqual(same!.values[value]!.dims);
      expect(difference(captured!.values[value]!.data, same!.values[value]!.data), value).toBeLessThan(1e-4);
    }
    const gradients = await analyseAttention(host, { inputs: first(tensors), analysis: 'chefer', output: 'y' });
    expect(gradients.map!.dims).toEqual([LENGTH, LENGTH]);
  });
});
