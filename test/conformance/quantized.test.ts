/** Quantised products: the gradient is that of the float product they stand for. */
import { expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import type { Attribute, DataType, DenseTensor, Weight } from '../../src/onnx/index.ts';
import { int, ints, normalizeModel, numbersToData, numbersWeight, sizeOf } from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, numbersOf, runModel } from '../models.ts';
import { maxDifference } from '../../conformance/numbers.ts';

const random = chance(3);
const bytes = (dims: readonly number[]) => Array.from({ length: sizeOf(dims) }, () => Math.floor(random(0, 255)));

/** quantise(x) -> the operator -> dequantise, and the same in floats: their gradients are the same numbers. */
async function compare(
  operator: string,
  wDims: readonly number[],
  xDims: readonly number[],
  yDims: readonly number[],
  float: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): Promise<void> {
  const w = bytes(wDims);
  const weights: [string, Weight][] = [
    ['xs', numbersWeight('float32', [], [0.02])],
    ['xz', numbersWeight('uint8', [], [128])],
    ['w', numbersWeight('uint8', wDims, w)],
    ['ws', numbersWeight('float32', [], [0.01])],
    ['wz', numbersWeight('uint8', [], [120])],
    ['ys', numbersWeight('float32', [], [0.1])],
    ['yz', numbersWeight('uint8', [], [100])],
    [
      'wf',
      numbersWeight(
        'float32',
        wDims,
        w.map((value) => (value - 120) * 0.01),
      ),
    ],
  ];
  const info = (name: string, dims: readonly number[]) => ({ name, type: 'float32' as DataType, dims });
  const given = { inputs: [info('x', xDims)], outputs: [info('y', yDims)], initializers: weights };
  const quantized = makeModel({
    ...given,
    nodes: [
      makeNode('QuantizeLinear', ['x', 'xs', 'xz'], ['q']),
      makeNode(operator, ['q', 'xs', 'xz', 'w', 'ws', 'wz', 'ys', 'yz'], ['p'], attributes),
      makeNode('DequantizeLinear', ['p', 'ys', 'yz'], ['y']),
    ],
  });
  const plain = makeModel({ ...given, nodes: [makeNode(float, ['x', 'wf'], ['y'], attributes)] });
  const x: DenseTensor = {
    type: 'float32',
    dims: xDims,
    data: numbersToData(
      'float32',
      Array.from({ length: sizeOf(xDims) }, () => random()),
    ),
  };
  const gradient = async (model: typeof plain) => {
    const program = differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] }).model;
    return numbersOf((await runModel(program, { x }))['x_grad']!);
  };
  expect(maxDifference(await gradient(plain), await gradient(quantized))).toBeLessThan(1e-5);
}

test('QLinearMatMul', () => compare('QLinearMatMul', [4, 3], [2, 4], [2, 3], 'MatMul'));

test('QLinearConv', () =>
  compare('QLinearConv', [3, 2, 3, 3], [1, 2, 5, 5], [1, 3, 3, 3], 'Conv', {
    strides: ints([2, 2]),
    pads: ints([1, 1, 1, 1]),
    group: int(1),
  }));

test('NhwcMaxPool, of bytes, passes the gradient on as MaxPool of floats does', async () => {
  const pool = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
  const dims = [1, 4, 4, 2];
  const model = (middle: 'bytes' | 'floats') =>
    makeModel({
      inputs: [{ name: 'x', type: 'float32', dims }],
      outputs: [{ name: 'y', type: 'float32', dims: [1, 2, 2, 2] }],
      nodes:
        middle === 'bytes'
          ? [
              makeNode('QuantizeLinear', ['x', 's', 'z'], ['q']),
              makeNode('NhwcMaxPool', ['q'], ['p'], pool, 'com.microsoft'),
              makeNode('DequantizeLinear', ['p', 's', 'z'], ['y']),
            ]
          : [
              makeNode('Transpose', ['x'], ['first'], { perm: ints([0, 3, 1, 2]) }),
              makeNode('MaxPool', ['first'], ['p'], pool),
              makeNode('Transpose', ['p'], ['y'], { perm: ints([0, 2, 3, 1]) }),
            ],
      initializers: [
        ['s', numbersWeight('float32', [], [0.25])],
        ['z', numbersWeight('uint8', [], [100])],
      ],
    });
  // Multiples of the step, no two the same.
  const x: DenseTensor = {
    type: 'float32',
    dims,
    data: Float32Array.from({ length: 32 }, (_, at) => ((at * 13) % 32) / 4 - 4),
  };
  const gradient = async (middle: 'bytes' | 'floats') => {
    const program = differentiate(normalizeModel(model(middle)), { of: 'y', wrt: ['x'] }).model;
    return numbersOf((await runModel(program, { x }))['x_grad']!);
  };
  const plain = await gradient('floats');
  expect(plain.filter((value) => value !== 0)).toHaveLength(8);
  expect(await gradient('bytes')).toEqual(plain);
});

test('rows of a block-quantised table have their shape, and what follows has its gradient', async () => {
  const table = bytes([6, 16]);
  const model = makeModel({
    inputs: [{ name: 'ids', type: 'int64', dims: [1, 3] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      makeNode(
        'GatherBlockQuantized',
        ['table', 'ids', 'scales'],
        ['rows'],
        { gather_axis: int(0), quantize_axis: int(1), block_size: int(16), bits: int(4) },
        'com.microsoft',
      ),
      makeNode('Mul', ['rows', 'rows'], ['y']),
    ],
    initializers: [
      ['table', numbersWeight('uint8', [6, 16], table)],
      [
        'scales',
        numbersWeight(
          'float32',
          [6, 2],
          Array.from({ length: 12 }, () => 0.1),
        ),
      ],
    ],
  });
  const ids = { type: 'int64', dims: [1, 3], data: BigInt64Array.of(1n, 4n, 2n) } as const;
  const { model: program } = differentiate(normalizeModel(model), { of: 'y', wrt: ['rows'] });
  const results = await runModel(program, { ids });
  expect(results['rows_grad']!.dims).toEqual([1, 3, 32]);
});

test('com.microsoft QuantizeLinear and DequantizeLinear, of 16 bits, pass the gradient on', async () => {
  const pair = (domain: string) =>
    makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [2, 3] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode('QuantizeLinear', ['x', 's', 'z'], ['q'], {}, domain),
        makeNode('DequantizeLinear', ['q', 's', 'z'], ['d'], {}, domain),
        makeNode('Mul', ['d', 'd'], ['y']),
      ],
      initializers: [
        ['s', numbersWeight('float32', [], [0.001])],
        ['z', numbersWeight('uint16', [], [32768])],
      ],
    });
  const x: DenseTensor = { type: 'float32', dims: [2, 3], data: Float32Array.of(1, -2, 3, 0.5, -0.25, 0) };
  const program = differentiate(normalizeModel(pair('com.microsoft')), { of: 'y', wrt: ['x'] }).model;
  const gradient = numbersOf((await runModel(program, { x }))['x_grad']!);
  expect(
    maxDifference(
      gradient,
      numbersOf(x).map((value) => 2 * value),
    ),
  ).toBeLessThan(1e-3);
});

test.each(['forward', 'bidirectional'])(
  'an LSTM of dynamically quantised products, %s, gives what the kernel gives; its gradient is near that of floats',
  async (direction) => {
    const [time, batch, width, hidden] = [4, 2, 6, 5];
    const directions = direction === 'bidirectional' ? 2 : 1;
    const [w, r] = [bytes([directions, width, 4 * hidden]), bytes([directions, hidden, 4 * hidden])];
    const scale = 0.005;
    const floats = (count: number) => Array.from({ length: count }, () => random());
    // The kernel of floats has its weights the other way round.
    const turned = (list: readonly number[], rows: number) =>
      Array.from({ length: directions }, (_, at) => at).flatMap((at) =>
        Array.from({ length: 4 * hidden }, (_, column) =>
          Array.from({ length: rows }, (_, row) => (list[(at * rows + row) * 4 * hidden + column]! - 128) * scale),
        ).flat(),
      );
    const each = (type: DataType, value: number) =>
      numbersWeight(type, [directions], Array<number>(directions).fill(value));
    const initializers: [string, Weight][] = [
      ['w', numbersWeight('uint8', [directions, width, 4 * hidden], w)],
      ['r', numbersWeight('uint8', [directions, hidden, 4 * hidden], r)],
      ['wf', numbersWeight('float32', [directions, 4 * hidden, width], turned(w, width))],
      ['rf', numbersWeight('float32', [directions, 4 * hidden, hidden], turned(r, hidden))],
      ['b', numbersWeight('float32', [directions, 8 * hidden], floats(directions * 8 * hidden))],
      ['s', each('float32', scale)],
      ['z', each('uint8', 128)],
    ];
    const model = (operator: string, inputs: readonly string[], domain: string) =>
      makeModel({
        inputs: [{ name: 'x', type: 'float32', dims: [time, batch, width] }],
        outputs: ['y', 'h', 'c'].map((name) => ({ name, type: 'float32' as const, dims: undefined })),
        nodes: [
          makeNode(
            operator,
            inputs,
            ['y', 'h', 'c'],
            { hidden_size: int(hidden), direction: { kind: 'string', value: direction } },
            domain,
          ),
        ],
        initializers,
      });
    const quantized = model(
      'DynamicQuantizeLSTM',
      ['x', 'w', 'r', 'b', '', '', '', '', 's', 'z', 's', 'z'],
      'com.microsoft',
    );
    const plain = model('LSTM', ['x', 'wf', 'rf', 'b'], '');
    const dims = [time, batch, width];
    const x: DenseTensor = { type: 'float32', dims, data: numbersToData('float32', floats(sizeOf(dims))) };
    const normal = normalizeModel(quantized);
    const [expected, actual] = [await runModel(quantized, { x }), await runModel(normal, { x })];
    for (const name of ['y', 'h', 'c'])
      expect(maxDifference(numbersOf(expected[name]!), numbersOf(actual[name]!)), name).toBeLessThan(1e-5);
    const gradient = async (of: typeof plain) =>
      numbersOf((await runModel(differentiate(normalizeModel(of), { of: 'y', wrt: ['x'] }).model, { x }))['x_grad']!);
    const [exact, through] = [await gradient(plain), await gradient(quantized)];
    expect(maxDifference(exact, through)).toBeLessThan(0.03 * Math.max(...exact.map(Math.abs)));
  },
);
