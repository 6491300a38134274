/** Operators of onnxruntime's own in forms that it has no kernel for on a CPU: taken apart they run, and have gradients. */
import { expect, test } from 'vitest';
import { checkGradient } from '../../conformance/check-gradient.ts';
import { maxDifference, numbersOf } from '../../conformance/numbers.ts';
import { float, int, ints as manyInts, normalizeModel, numbersWeight, string } from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, runModel } from '../models.ts';
import type { Case } from './microsoft-case.ts';
import { byte, checkMicrosoft, fixed, heads, ints, nameOf, number, tensorOf, x } from './microsoft-case.ts';

const CASES: readonly Case[] = [
  {
    operator: 'Attention',
    name: 'of flags for the longest sequence',
    inputs: [x(1, 2, 8), x(8, 24), x(24), ints('int32', [1, 1, 3, 3], [1, 0, 0, 1, 1, 0, 1, 1, 0])],
    attributes: heads,
  },
  { operator: 'MultiHeadAttention', name: 'packed', inputs: [x(2, 3, 2, 3, 4)], attributes: heads },
  {
    operator: 'GatedRMSNorm',
    name: 'of a sigmoid',
    inputs: [x(2, 3, 8), x(8), x(2, 3, 8)],
    attributes: { activation: string('sigmoid'), epsilon: float(1e-3) },
  },
  { operator: 'BiasAdd', inputs: [x(2, 3, 4), x(4), x(2, 3, 4)] },
  { operator: 'BiasSplitGelu', inputs: [x(2, 3, 8), x(8)] },
  {
    operator: 'GroupNorm',
    inputs: [x(2, 2, 3, 4), x(4), x(4)],
    attributes: { groups: int(2), activation: int(1), epsilon: float(1e-3) },
  },
  {
    operator: 'SkipGroupNorm',
    inputs: [x(2, 4, 2, 3), x(4), x(4), x(2, 4), x(4)],
    attributes: { groups: int(2), activation: int(0), channels_last: int(0) },
    outputs: 2,
  },
  {
    operator: 'QLinearReduceMean',
    inputs: [ints('uint8', [2, 3, 4]), number(0.02), byte(128), number(0.02), byte(100)],
    attributes: { axes: manyInts([1]), keepdims: int(0) },
    quantized: true,
  },
  ...[0, 1].map((both) => ({
    operator: 'RelativePositionBias',
    name: both === 1 ? 'both ways' : 'backwards',
    inputs: [x(8, 2), fixed(ints('int64', [1], [9])), fixed(ints('int64', [1], [9]))],
    attributes: { max_distance: int(16), is_bidirectional: int(both) },
  })),
  {
    operator: 'QAttention',
    name: 'without bias',
    inputs: [ints('uint8', [1, 3, 8]), ints('uint8', [8, 24]), undefined, number(0.02), number(0.01)],
    attributes: heads,
    quantized: true,
  },
  {
    operator: 'MoE',
    name: 'swiglu, its halves one behind the other',
    // Small, so that differences find no kink where the limit is reached.
    inputs: [x(1, 3), x(1, 2), x(2, 8, 3), x(2, 8), x(2, 3, 4), x(2, 3)],
    attributes: {
      k: int(1),
      activation_type: string('swiglu'),
      swiglu_fusion: int(2),
      activation_alpha: float(1.702),
      activation_beta: float(1),
      swiglu_limit: float(0.6),
    },
  },
];

test.each(CASES.map((c) => [nameOf(c), c] as const))(
  '%s runs in primitives, and its gradient agrees with differences',
  (_, c) => checkMicrosoft(c, { kernel: false }),
);

test.each([16, 32])(
  'Attention that rotates %i elements of each head, which no CPU kernel does, gives what its parts give',
  async (rotated) => {
    const [batch, length, past, count, size] = [2, 3, 2, 2, 32];
    const width = count * size;
    const random = chance(rotated);
    const tensor = (...dims: number[]) =>
      tensorOf({ type: 'float32', dims }, (low = -0.3, high = 0.3) => random(low, high));
    const feeds = {
      x: tensor(batch, length, width),
      w: tensor(width, 3 * width),
      bias: tensor(3 * width),
      past: tensor(2, batch, count, past, size),
    };
    const info = (name: keyof typeof feeds) => ({ name, type: 'float32' as const, dims: feeds[name].dims });
    const inputs = (['x', 'w', 'bias', 'past'] as const).map(info);
    const output = (name: string) => ({ name, type: 'float32' as const, dims: undefined });
    const attributes = { num_heads: int(count), unidirectional: int(1) };
    const rotating = { ...attributes, do_rotary: int(1), rotary_embedding_dim: int(rotated) };
    const fused = makeModel({
      inputs,
      outputs: [output('y'), output('present')],
      nodes: [makeNode('Attention', ['x', 'w', 'bias', '', 'past'], ['y', 'present'], rotating, 'com.microsoft')],
    });
    // The same with RotaryEmbedding and MultiHeadAttention, which have kernels.
    const places = Array.from({ length: past + length }, (_, place) => place);
    const angles = places.flatMap((place) =>
      Array.from({ length: rotated / 2 }, (_, pair) => place / 10000 ** ((2 * pair) / rotated)),
    );
    const table = (f: (angle: number) => number) =>
      numbersWeight('float32', [places.length, rotated / 2], angles.map(f));
    const turn = (from: string, to: string) =>
      makeNode(
        'RotaryEmbedding',
        [from, 'places', 'cos', 'sin'],
        [to],
        { num_heads: int(count), rotary_embedding_dim: int(rotated) },
        'com.microsoft',
      );
    const parts = makeModel({
      inputs,
      outputs: [output('y'), output('keys'), output('values')],
      nodes: [
        makeNode('MatMul', ['x', 'w'], ['product']),
        makeNode('Add', ['product', 'bias'], ['all']),
        makeNode('Split', ['all'], ['q', 'k', 'v'], { axis: int(2), num_outputs: int(3) }),
        turn('q', 'turnedQ'),
        turn('k', 'turnedK'),
        makeNode('Gather', ['past', 'zero'], ['pastK']),
        makeNode('Gather', ['past', 'one'], ['pastV']),
        makeNode(
          'MultiHeadAttention',
          ['turnedQ', 'turnedK', 'v', '', '', '', 'pastK', 'pastV'],
          ['y', 'keys', 'values'],
          attributes,
          'com.microsoft',
        ),
      ],
      initializers: [
        ['places', numbersWeight('int64', [batch, length], [2, 3, 4, 2, 3, 4])],
        ['cos', table(Math.cos)],
        ['sin', table(Math.sin)],
        ['zero', numbersWeight('int64', [], [0])],
        ['one', numbersWeight('int64', [], [1])],
      ],
    });
    const normal = normalizeModel(fused);
    const [actual, expected] = [await runModel(normal, feeds), await runModel(parts, feeds)];
    const present = ['keys', 'values'].flatMap((name) => numbersOf(expected[name]!));
    expect(maxDifference(numbersOf(expected['y']!), numbersOf(actual['y']!))).toBeLessThan(2e-5);
    expect(maxDifference(present, numbersOf(actual['present']!))).toBeLessThan(2e-5);
    const found = await checkGradient({
      name: 'rotary',
      model: normal,
      feeds,
      wrt: ['x', 'past'],
      outputs: ['y', 'present'],
    });
    expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
  },
);
