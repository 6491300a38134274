/** Operators whose form changed between opset 7 and 18: the file as it is and its normal form compute the same. */
import { describe, expect, test } from 'vitest';
import type { Attribute, DenseTensor, Node, Weight } from '../../src/onnx/index.ts';
import {
  NEWEST_IR_VERSION,
  NEWEST_OPSETS,
  UserError,
  float,
  int,
  ints,
  normalizeModel,
  numbersWeight,
  opsetOf,
  sizeOf,
  string,
} from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, numbersOf, runModel } from '../models.ts';

interface Old {
  readonly name: string;
  readonly opset: number;
  readonly node: Node;
  readonly dims?: readonly number[];
  readonly initializers?: readonly (readonly [string, Weight])[];
}
const floats = (value: readonly number[]): Attribute => ({ kind: 'floats', value });
const vector = (name: string, values: number[]) => [name, numbersWeight('float32', [values.length], values)] as const;
const indices = (name: string, values: number[], dims = [values.length]) =>
  [name, numbersWeight('int64', dims, values)] as const;

function old(
  operator: string,
  opset: number,
  name: string,
  attributes: Record<string, Attribute> = {},
  more: { dims?: number[]; inputs?: Old['initializers']; outputs?: number } = {},
): Old {
  const { dims = [2, 3, 4, 4], inputs = [], outputs = 1 } = more;
  const names = ['x', ...inputs.map(([input]) => input)];
  const results = Array.from({ length: outputs }, (_, index) => `y${index}`);
  return {
    name: `${operator}-${opset} ${name}`,
    opset,
    node: makeNode(operator, names, results, attributes),
    dims,
    initializers: inputs,
  };
}

const statistics = [
  vector('scale', [1, 2, 3]),
  vector('bias', [0.1, 0.2, 0.3]),
  vector('mean', [0, 1, -1]),
  vector('variance', [1, 2, 0.5]),
];
const reductions = ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'];

const OLD: Old[] = [
  old('BatchNormalization', 7, 'with momentum', { momentum: float(0.8), epsilon: float(1e-3) }, { inputs: statistics }),
  old('BatchNormalization', 8, 'spatial', { spatial: int(1) }, { inputs: statistics }),
  old('BatchNormalization', 9, 'by default', {}, { inputs: statistics }),
  old('BatchNormalization', 14, 'not training', { training_mode: int(0) }, { inputs: statistics }),
  old('Clip', 7, 'between', { min: float(-0.5), max: float(0.5) }),
  old('Clip', 7, 'from below', { min: float(0) }),
  old('Clip', 10, 'from above', { max: float(0.25) }),
  old('Clip', 7, 'without bounds'),
  old('Dropout', 7, 'with a ratio', { ratio: float(0.3) }),
  old('Dropout', 10, 'by default'),
  old('Dropout', 12, 'with inputs', {}, { inputs: [['ratio', numbersWeight('float32', [], [0.5])]] }),
  old('Pad', 7, 'with a value', { pads: ints([0, 0, 1, 2, 0, 0, 2, 1]), value: float(0.5) }),
  old('Pad', 10, 'by default', { pads: ints([0, 1, 1, 0, 0, 0, 0, 1]), mode: string('constant') }),
  old('Pad', 7, 'cutting off', { pads: ints([0, 0, -1, 0, 0, 0, 0, -2]) }),
  old('Pad', 7, 'by reflection', { pads: ints([0, 0, 1, 2, 0, 0, 2, 1]), mode: string('reflect') }),
  old('Pad', 7, 'by the edge', { pads: ints([0, 0, 1, 2, 0, 0, 2, 1]), mode: string('edge') }),
  old('Upsample', 7, 'nearest', { scales: floats([1, 1, 2, 1.5]) }),
  old('Upsample', 7, 'linear', { scales: floats([1, 1, 2, 2]), mode: string('linear') }),
  old('Upsample', 9, 'nearest', {}, { inputs: [vector('scales', [1, 1, 3, 2])] }),
  old('Upsample', 9, 'linear', { mode: string('linear') }, { inputs: [vector('scales', [1, 1, 2, 1.5])] }),
  old('Resize', 10, 'nearest up', {}, { inputs: [vector('scales', [1, 1, 2, 1.5])] }),
  old('Resize', 10, 'nearest down', {}, { inputs: [vector('scales', [1, 1, 0.5, 0.7])] }),
  old('Resize', 10, 'nearest both ways', {}, { inputs: [vector('scales', [1, 1, 0.5, 1.5])] }),
  old('Resize', 10, 'linear', { mode: string('linear') }, { inputs: [vector('scales', [1, 1, 2, 0.5])] }),
  old(
    'Resize',
    11,
    'with empty roi and scales',
    { mode: string('linear') },
    {
      inputs: [vector('roi', []), vector('scales', []), indices('sizes', [2, 3, 7, 2])],
    },
  ),
  old(
    'Resize',
    11,
    'with an empty roi',
    { coordinate_transformation_mode: string('align_corners'), mode: string('cubic') },
    {
      inputs: [vector('roi', []), vector('scales', [1, 1, 2, 2])],
    },
  ),
  old(
    'Resize',
    13,
    'with an empty roi',
    { coordinate_transformation_mode: string('asymmetric'), nearest_mode: string('floor') },
    {
      inputs: [vector('roi', []), vector('scales', [1, 1, 2, 2])],
    },
  ),
  old('Slice', 7, 'along axes', { starts: ints([1, 0]), ends: ints([3, -1]), axes: ints([2, 3]) }),
  old('Slice', 7, 'without axes', { starts: ints([0, 1]), ends: ints([1, 1000]) }),
  old('Slice', 9, 'to the end', { starts: ints([-2]), ends: ints([2 ** 63]), axes: ints([3]) }),
  old('Split', 7, 'in uneven parts', { split: ints([1, 3]), axis: int(2) }, { outputs: 2 }),
  old('Split', 7, 'in equal parts', { axis: int(3) }, { outputs: 2 }),
  old('Split', 11, 'along a negative axis', { axis: int(-1), split: ints([3, 1]) }, { outputs: 2 }),
  old('Split', 13, 'in equal parts', { axis: int(2) }, { outputs: 4 }),
  old('Squeeze', 7, 'along axes', { axes: ints([0, 2]) }, { dims: [1, 3, 1, 2] }),
  old('Squeeze', 11, 'of a negative axis', { axes: ints([-1]) }, { dims: [1, 3, 1] }),
  old('Squeeze', 7, 'without axes', {}, { dims: [1, 3, 1, 2] }),
  old('Unsqueeze', 7, 'along axes', { axes: ints([0, 3]) }, { dims: [2, 3] }),
  old('Unsqueeze', 11, 'of a negative axis', { axes: ints([-1]) }, { dims: [2, 3] }),
  ...['Softmax', 'LogSoftmax', 'Hardmax'].flatMap((operator) => [
    old(operator, 7, 'by default on rank 4'),
    old(operator, 7, 'by default on rank 3', {}, { dims: [2, 3, 4] }),
    old(operator, 11, 'by default on rank 2', {}, { dims: [2, 3] }),
    old(operator, 11, 'along axis 2 of 4', { axis: int(2) }),
    old(operator, 12, 'along axis 0 of 3', { axis: int(0) }, { dims: [2, 3, 4] }),
    old(operator, 11, 'along the last axis', { axis: int(-1) }),
    old(operator, 11, 'along a negative axis', { axis: int(-2) }),
    old(operator, 13, 'by default', {}, { dims: [2, 3, 4] }),
    old(operator, 13, 'along axis 1', { axis: int(1) }),
  ]),
  old('TopK', 7, 'of an attribute', { k: int(2) }, { outputs: 2 }),
  old('TopK', 9, 'along an axis', { k: int(3), axis: int(1) }, { outputs: 2 }),
  old('TopK', 10, 'of an input', { axis: int(2) }, { inputs: [indices('k', [2])], outputs: 2 }),
  ...reductions.flatMap((name) => [
    old(`Reduce${name}`, 7, 'along axes', { axes: ints([1, 3]) }),
    old(`Reduce${name}`, 11, 'along negative axes, dropped', { axes: ints([-1]), keepdims: int(0) }),
    old(`Reduce${name}`, 12, 'over everything', { keepdims: int(0) }),
    old(
      `Reduce${name}`,
      17,
      'along an axis',
      name === 'Sum' ? {} : { axes: ints([2]) },
      name === 'Sum' ? { inputs: [indices('axes', [2])] } : {},
    ),
  ]),
  old(
    'Scatter',
    9,
    'along an axis',
    { axis: int(1) },
    {
      dims: [2, 4],
      inputs: [indices('at', [0, 2, 1, 3], [2, 2]), ['updates', numbersWeight('float32', [2, 2], [5, 6, 7, 8])]],
    },
  ),
  old(
    'RoiAlign',
    10,
    'by default',
    { output_height: int(2), output_width: int(2), spatial_scale: float(1) },
    {
      inputs: [['rois', numbersWeight('float32', [1, 4], [0, 0, 3, 3])], indices('batch', [1])],
    },
  ),
  old('ArgMax', 7, 'along an axis', { axis: int(1), keepdims: int(0) }),
  old('Flatten', 7, 'from axis 2', { axis: int(2) }),
  old('AveragePool', 7, 'counting pads', {
    kernel_shape: ints([2, 2]),
    pads: ints([1, 1, 0, 0]),
    count_include_pad: int(1),
  }),
  old('MaxPool', 8, 'with pads', { kernel_shape: ints([2, 2]), pads: ints([1, 1, 0, 0]), strides: ints([2, 2]) }),
  old('Cast', 9, 'to integers', { to: int(7) }),
  old(
    'PRelu',
    7,
    'with a slope per channel',
    {},
    { inputs: [['slope', numbersWeight('float32', [3, 1, 1], [0.1, 0.2, 0.3])]] },
  ),
  old('LRN', 7, 'of three', { size: int(3) }),
];

function modelOf({ opset, node, dims, initializers }: Old) {
  const integers = (index: number) =>
    node.operator === 'ArgMax' || node.operator === 'Cast' || (node.operator === 'TopK' && index === 1);
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims }],
    outputs: node.outputs.map((name, index) => ({
      name,
      type: integers(index) ? 'int64' : 'float32',
      dims: undefined,
    })),
    nodes: [node],
    initializers: initializers ?? [],
    opset,
  });
}

const random = chance(5);
function input(dims: readonly number[], positive: boolean): DenseTensor {
  const data = Float32Array.from({ length: sizeOf(dims) }, () => (positive ? random(0.5, 2) : random()));
  return { type: 'float32', dims, data };
}

describe('the normal form computes what the old form did', () => {
  test.each(OLD)('$name', async (each) => {
    const model = modelOf(each);
    const normal = normalizeModel(model);
    expect(opsetOf(normal)).toBe(18);
    const x = input(each.dims!, each.node.operator === 'ReduceLogSum');
    const [expected, actual] = [await runModel(model, { x }), await runModel(normal, { x })];
    for (const [name, tensor] of Object.entries(expected)) {
      expect(actual[name]!.dims).toEqual(tensor.dims);
      expect(actual[name]!.type).toEqual(tensor.type);
      const values = numbersOf(actual[name]!);
      numbersOf(tensor).forEach((value, at) => expect(values[at]).toBeCloseTo(value, 5));
    }
  });

  test.each(OLD)('$name, of unknown dims', async (each) => {
    const dims = each.dims!.map(() => undefined);
    const model = modelOf({ ...each, dims: dims as never });
    const x = input(each.dims!, each.node.operator === 'ReduceLogSum');
    const [expected, actual] = [await runModel(model, { x }), await runModel(normalizeModel(model), { x })];
    for (const [name, tensor] of Object.entries(expected)) {
      expect(actual[name]!.dims).toEqual(tensor.dims);
      const values = numbersOf(actual[name]!);
      numbersOf(tensor).forEach((value, at) => expect(values[at]).toBeCloseTo(value, 5));
    }
  });
});

test('old forms inside the branches of an If are brought up too', async () => {
  const branch = (name: string, node: Node) => ({
    ...makeModel({ inputs: [], outputs: [{ name: node.outputs[0]!, type: 'float32', dims: undefined }], nodes: [node] })
      .graph,
    name,
  });
  const model = makeModel({
    inputs: [
      { name: 'x', type: 'float32', dims: [2, 3, 2] },
      { name: 'flag', type: 'bool', dims: [] },
    ],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      makeNode('If', ['flag'], ['y'], {
        then_branch: { kind: 'graph', value: branch('then', makeNode('Softmax', ['x'], ['a'])) },
        else_branch: { kind: 'graph', value: branch('else', makeNode('Clip', ['x'], ['b'], { min: float(0) })) },
      }),
    ],
    opset: 9,
  });
  const x = input([2, 3, 2], false);
  for (const flag of [0, 1]) {
    const feeds = { x, flag: { type: 'bool', dims: [], data: Uint8Array.of(flag) } } as const;
    const [expected, actual] = [await runModel(model, feeds), await runModel(normalizeModel(model), feeds)];
    numbersOf(expected['y']!).forEach((value, at) => expect(numbersOf(actual['y']!)[at]).toBeCloseTo(value, 6));
  }
});

test('an opset before 7 is refused with a line that says what to do', () => {
  const model = modelOf(old('Relu', 6, ''));
  expect(() => normalizeModel(model)).toThrow(UserError);
  expect(() => normalizeModel(model)).toThrow(/opset 6.*version_converter/);
});

test('a coordinate transformation ONNX withdrew is refused', () => {
  const model = modelOf(
    old(
      'Resize',
      11,
      '',
      { coordinate_transformation_mode: string('tf_half_pixel_for_nn') },
      {
        inputs: [vector('roi', []), vector('scales', [1, 1, 2, 2])],
      },
    ),
  );
  expect(() => normalizeModel(model)).toThrow(UserError);
});

test('a long file of an old opset is brought up in time that grows as its length does', () => {
  // Inferring everything again for each node took minutes.
  const names = Array.from({ length: 5001 }, (_, at) => `v${at}`);
  const model = makeModel({
    inputs: [{ name: 'v0', type: 'float32', dims: [2, 3] }],
    outputs: [{ name: 'v5000', type: 'float32', dims: undefined }],
    nodes: names.slice(1).map((name, at) => makeNode('Clip', [names[at]!], [name], { min: float(0) })),
    opset: 7,
  });
  const start = performance.now();
  expect(normalizeModel(model).graph.nodes).toHaveLength(5000);
  expect(performance.now() - start).toBeLessThan(20_000);
});

test('the newest opsets and IR version are those that the installed onnxruntime runs; newer ones are refused in one line', async () => {
  const versioned = (opsets: [string, number][], irVersion = 8) => ({
    ...makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [1, 2] }],
      outputs: [{ name: 'y', type: 'float32', dims: [1, 2] }],
      nodes: [
        makeNode('Relu', ['x'], ['r']),
        makeNode('Scaler', ['r'], ['y'], { scale: floats([2]), offset: floats([0]) }, 'ai.onnx.ml'),
      ],
    }),
    irVersion,
    opsets: new Map(opsets),
  });
  const feeds = { x: { type: 'float32', dims: [1, 2], data: Float32Array.of(1, -1) } } as const;
  const [newest, newestTrees] = [NEWEST_OPSETS[''], NEWEST_OPSETS['ai.onnx.ml']];
  const taken = versioned(
    [
      ['', newest],
      ['ai.onnx.ml', newestTrees],
    ],
    NEWEST_IR_VERSION,
  );
  expect(numbersOf((await runModel(taken, feeds))['y']!)).toEqual([2, 0]);
  expect(numbersOf((await runModel(normalizeModel(taken), feeds))['y']!)).toEqual([2, 0]);
  const refused: [ReturnType<typeof versioned>, RegExp][] = [
    [
      versioned([
        ['', newest + 1],
        ['ai.onnx.ml', 3],
      ]),
      /^the model uses opset \d+; onnxruntime runs opsets up to \d+: export it with an older one/,
    ],
    [
      versioned([
        ['', 18],
        ['ai.onnx.ml', newestTrees + 1],
      ]),
      /^the model uses opset \d+ of ai.onnx.ml; onnxruntime runs/,
    ],
    [
      versioned(
        [
          ['', 18],
          ['ai.onnx.ml', 3],
        ],
        NEWEST_IR_VERSION + 1,
      ),
      /^the model's file has IR version \d+; onnxruntime reads versions up to \d+: export it/,
    ],
  ];
  for (const [model, message] of refused) {
    await expect(runModel(model, feeds)).rejects.toThrow(UserError);
    expect(() => normalizeModel(model)).toThrow(message);
  }
});
