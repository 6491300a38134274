/** Quantised chains are differentiated straight through: as the float model they stand for. */
import { expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import type { DenseTensor, Model, Weight } from '../../src/onnx/index.ts';
import { int, ints, normalizeModel, numbersToData, numbersWeight } from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, numbersOf, runModel } from '../models.ts';

const random = chance(7);
const floats = (dims: number[]): DenseTensor => ({
  type: 'float32',
  dims,
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random()),
});
const bytes = (count: number) => Array.from({ length: count }, () => Math.round(random(-100, 100)));
const seedDims = (dims: number[]) => floats(dims);

async function gradientOf(model: Model, x: DenseTensor, seed: DenseTensor): Promise<number[]> {
  const { model: program, gradients } = differentiate(normalizeModel(model), {
    of: 'y',
    wrt: ['x'],
    seed: { input: 'seed' },
  });
  return numbersOf((await runModel(program, { x, seed }))[gradients.get('x')!]!);
}

/** The chain, and the same with the dequantised weight in floats. */
async function expectStraightThrough(quantized: Model, float: Model, x: DenseTensor, seed: DenseTensor) {
  const [actual, expected] = [await gradientOf(quantized, x, seed), await gradientOf(float, x, seed)];
  expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.01);
  actual.forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, 5));
}

const model = (nodes: ReturnType<typeof makeNode>[], initializers: [string, Weight][], rank: number) =>
  makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: Array(rank).fill(undefined) }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes,
    initializers,
  });

test('a dynamically quantised product has the gradient of the float product', async () => {
  const weight = bytes(12);
  const chain = model(
    [
      makeNode('DynamicQuantizeLinear', ['x'], ['xq', 'xs', 'xz']),
      makeNode('MatMulInteger', ['xq', 'w', 'xz', 'wz'], ['product']),
      makeNode('Cast', ['product'], ['float'], { to: int(1) }),
      makeNode('Mul', ['xs', 'ws'], ['scale']),
      makeNode('Mul', ['float', 'scale'], ['y']),
    ],
    [
      ['w', numbersWeight('int8', [3, 4], weight)],
      ['wz', numbersWeight('int8', [], [3])],
      ['ws', numbersWeight('float32', [], [0.02])],
    ],
    3,
  );
  const dequantized = numbersWeight(
    'float32',
    [3, 4],
    weight.map((value) => 0.02 * (value - 3)),
  );
  const float = model([makeNode('MatMul', ['x', 'w'], ['y'])], [['w', dequantized]], 3);
  await expectStraightThrough(chain, float, floats([2, 5, 3]), seedDims([2, 5, 4]));
});

test('zero points and scales per column are followed', async () => {
  const weight = bytes(12);
  const [zeros, scales] = [
    [1, -2, 3, 0],
    [0.01, 0.02, 0.03, 0.04],
  ];
  const chain = model(
    [
      makeNode('DynamicQuantizeLinear', ['x'], ['xq', 'xs', 'xz']),
      makeNode('MatMulInteger', ['xq', 'w', 'xz', 'wz'], ['product']),
      makeNode('Cast', ['product'], ['float'], { to: int(1) }),
      makeNode('Mul', ['xs', 'ws'], ['scale']),
      makeNode('Mul', ['float', 'scale'], ['y']),
    ],
    [
      ['w', numbersWeight('int8', [3, 4], weight)],
      ['wz', numbersWeight('int8', [4], zeros!)],
      ['ws', numbersWeight('float32', [4], scales!)],
    ],
    2,
  );
  const dequantized = weight.map((value, at) => scales![at % 4]! * (value - zeros![at % 4]!));
  const float = model(
    [makeNode('MatMul', ['x', 'w'], ['y'])],
    [['w', numbersWeight('float32', [3, 4], dequantized)]],
    2,
  );
  await expectStraightThrough(chain, float, floats([5, 3]), seedDims([5, 4]));
});

test('quantising and dequantising a value passes its gradient on, per tensor and per axis', async () => {
  for (const [scale, zero] of [
    [numbersWeight('float32', [], [0.02]), numbersWeight('uint8', [], [128])],
    [numbersWeight('float32', [3], [0.02, 0.03, 0.04]), numbersWeight('uint8', [3], [128, 120, 127])],
  ] as const) {
    const parameters: [string, Weight][] = [
      ['s', scale],
      ['z', zero],
      ['w', numbersWeight('float32', [2], [1.5, -0.5])],
    ];
    const chain = model(
      [
        makeNode('QuantizeLinear', ['x', 's', 'z'], ['q'], { axis: int(1) }),
        makeNode('DequantizeLinear', ['q', 's', 'z'], ['d'], { axis: int(-2) }),
        makeNode('Mul', ['d', 'w'], ['y']),
      ],
      parameters,
      3,
    );
    await expectStraightThrough(
      chain,
      model([makeNode('Mul', ['x', 'w'], ['y'])], parameters, 3),
      floats([2, 3, 2]),
      seedDims([2, 3, 2]),
    );
  }
});

test('a product with a dequantised weight has the gradient of the float product', async () => {
  const weight = bytes(12);
  const scales = [0.01, 0.02, 0.03];
  const chain = model(
    [makeNode('DequantizeLinear', ['wq', 's'], ['w'], { axis: int(0) }), makeNode('MatMul', ['x', 'w'], ['y'])],
    [
      ['wq', numbersWeight('int8', [3, 4], weight)],
      ['s', numbersWeight('float32', [3], scales)],
    ],
    2,
  );
  const dequantized = weight.map((value, at) => scales[Math.floor(at / 4)]! * value);
  const float = model(
    [makeNode('MatMul', ['x', 'w'], ['y'])],
    [['w', numbersWeight('float32', [3, 4], dequantized)]],
    2,
  );
  await expectStraightThrough(chain, float, floats([5, 3]), seedDims([5, 4]));
});

test('a quantised convolution has the gradient of the float convolution', async () => {
  const weight = bytes(36).map((value) => value + 128);
  const attributes = { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) };
  const chain = model(
    [
      makeNode('DynamicQuantizeLinear', ['x'], ['xq', 'xs', 'xz']),
      makeNode('ConvInteger', ['xq', 'w', 'xz', 'wz'], ['product'], attributes),
      makeNode('Cast', ['product'], ['float'], { to: int(1) }),
      makeNode('Mul', ['xs', 'ws'], ['scale']),
      makeNode('Mul', ['float', 'scale'], ['y']),
    ],
    [
      ['w', numbersWeight('uint8', [2, 2, 3, 3], weight)],
      ['wz', numbersWeight('uint8', [], [120])],
      ['ws', numbersWeight('float32', [], [0.02])],
    ],
    4,
  );
  const dequantized = weight.map((value) => 0.02 * (value - 120));
  const float = model(
    [makeNode('Conv', ['x', 'w'], ['y'], attributes)],
    [['w', numbersWeight('float32', [2, 2, 3, 3], dequantized)]],
    4,
  );
  await expectStraightThrough(chain, float, floats([1, 2, 5, 5]), {
    type: 'float32',
    dims: [1, 2, 3, 3],
    data: numbersToData(
      'float32',
      Array.from({ length: 18 }, () => random()),
    ),
  });
});
