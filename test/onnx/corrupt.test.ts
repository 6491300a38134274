/** Files that are no models, or contradict themselves: one UserError each, whatever the bytes. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import type { ModelProto } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import {
  UserError,
  float,
  inferGraph,
  int,
  ints,
  normalizeModel,
  numbersWeight,
  opsetOf,
  readModel,
  string,
  writeModel,
} from '../../src/onnx/index.ts';
import type { Model } from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode } from '../models.ts';

/** A little of everything: weights, shape arithmetic, a convolution, a subgraph. */
const small = makeModel({
  inputs: [
    { name: 'x', type: 'float32', dims: ['batch', 2, 6, 6] },
    { name: 'flag', type: 'bool', dims: [] },
  ],
  outputs: [{ name: 'y', type: 'float32', dims: ['batch', 3] }],
  nodes: [
    makeNode('Conv', ['x', 'w', 'b'], ['c'], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]), group: int(1) }),
    makeNode('Relu', ['c'], ['r']),
    makeNode('MaxPool', ['r'], ['p'], { kernel_shape: ints([2, 2]) }),
    makeNode('Shape', ['p'], ['shape']),
    makeNode('Constant', [], ['zero'], { value: { kind: 'tensor', value: numbersWeight('int64', [], [0]) } }),
    makeNode('Constant', [], ['axis'], { value: { kind: 'tensor', value: numbersWeight('int64', [1], [0]) } }),
    makeNode('Gather', ['shape', 'zero'], ['batch'], { axis: int(0) }),
    makeNode('Unsqueeze', ['batch', 'axis'], ['batch1']),
    makeNode('Concat', ['batch1', 'rest'], ['target'], { axis: int(0) }),
    makeNode('Reshape', ['p', 'target'], ['flat']),
    makeNode('Slice', ['flat', 'starts', 'ends', 'axis1', 'steps'], ['cut']),
    makeNode('Gemm', ['cut', 'g'], ['z'], { transB: int(1), alpha: float(0.5) }),
    makeNode('If', ['flag'], ['y'], {
      then_branch: {
        kind: 'graph',
        value: makeModel({
          inputs: [],
          outputs: [{ name: 't', type: 'float32', dims: undefined }],
          nodes: [makeNode('Softmax', ['z'], ['t'], { axis: int(-1) })],
        }).graph,
      },
      else_branch: {
        kind: 'graph',
        value: makeModel({
          inputs: [],
          outputs: [{ name: 'e', type: 'float32', dims: undefined }],
          nodes: [makeNode('Identity', ['z'], ['e'])],
        }).graph,
      },
    }),
  ],
  initializers: [
    ['w', numbersWeight('float32', [3, 2, 3, 3], Array(54).fill(0.1))],
    ['b', numbersWeight('float32', [3], [0, 1, 2])],
    ['rest', numbersWeight('int64', [1], [-1])],
    ['starts', numbersWeight('int64', [1], [0])],
    ['ends', numbersWeight('int64', [1], [12])],
    ['axis1', numbersWeight('int64', [1], [1])],
    ['steps', numbersWeight('int64', [1], [3])],
    ['g', numbersWeight('float32', [3, 4], Array(12).fill(0.3))],
  ],
});
const bytes = writeModel(small);

/** Everything between a file and a program. */
function useModel(file: Uint8Array): void {
  const model = normalizeModel(readModel(file));
  inferGraph(model.graph, opsetOf(model));
  writeModel(model);
  const wrt = model.graph.inputs.filter(({ type }) => type === 'float32').map(({ name }) => name);
  for (const of of ['z', ...model.graph.outputs.map(({ name }) => name)]) {
    try {
      writeModel(differentiate(model, { of, wrt }).model);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }
}

/** The one line a person gets, or undefined when the bytes are taken as a model. */
function complaint(file: Uint8Array): string | undefined {
  try {
    useModel(file);
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}

function changed(change: (proto: ModelProto) => void): Uint8Array {
  const proto = protoOf(small);
  change(proto);
  return toBinary(ModelProtoSchema, proto);
}

describe('a broken file gives one line', () => {
  const text = new TextEncoder().encode('# A model\n\nThis is a README, not a model.\n');
  const random = chance(1);
  const noise = Uint8Array.from({ length: 4096 }, () => Math.floor(random(0, 256)));
  const cases: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(), /empty/],
    ['a text file', text, /not an ONNX model/],
    ['random bytes', noise, /not an ONNX model/],
    ['zeros', new Uint8Array(64), /not an ONNX model/],
    ['a PNG file', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13), /not an ONNX model/],
    ['a truncated model', bytes.subarray(0, bytes.length - 20), /truncated/],
    ['a model cut in half', bytes.subarray(0, bytes.length / 2), /truncated/],
    ['a missing graph', changed((proto) => delete proto.graph), /no graph/],
    ['no operator sets', changed((proto) => (proto.opsetImport = [])), /operator set/],
    [
      'a missing input name',
      changed((proto) => (proto.graph!.node[0]!.input[0] = 'nowhere')),
      /node "Conv_c" reads "nowhere", which nothing before it produces/,
    ],
    [
      'an output nothing produces',
      changed((proto) => (proto.graph!.output[0]!.name = 'nowhere')),
      /nothing produces the output "nowhere"/,
    ],
    [
      'a cyclic graph',
      changed((proto) => (proto.graph!.node[1]!.input[0] = 'flat')),
      /reads "flat", which nothing before it produces/,
    ],
    ['a value produced twice', changed((proto) => (proto.graph!.node[1]!.output[0] = 'c')), /"c" is produced twice/],
    [
      'a weight with too few bytes',
      changed((proto) => (proto.graph!.initializer[0]!.rawData = new Uint8Array(7))),
      /weight "w" of dims \[3, 2, 3, 3\] needs 216 bytes but has 7/,
    ],
    [
      'a weight without values',
      changed((proto) => (proto.graph!.initializer[0]!.rawData = new Uint8Array())),
      /weight "w" needs 54 values but has 0/,
    ],
    [
      'a weight of huge dims',
      changed((proto) => (proto.graph!.initializer[0]!.dims = [2n ** 62n, 2n])),
      /weight "w" has the impossible dims/,
    ],
    [
      'a weight of negative dims',
      changed((proto) => (proto.graph!.initializer[0]!.dims = [-3n, -2n, 3n, 3n])),
      /weight "w" has the impossible dims \[-3, -2, 3, 3\]/,
    ],
    [
      'an unknown element type',
      changed((proto) => (proto.graph!.initializer[0]!.dataType = 99)),
      /"w" has the unknown element type 99/,
    ],
    [
      'an external weight without a file',
      changed((proto) => (proto.graph!.initializer[0]!.dataLocation = 1)),
      /"w" is external but names no file/,
    ],
  ];
  test.each(cases)('%s', (_, file, expected) => {
    const line = complaint(file);
    expect(line).toMatch(expected);
    expect(line).not.toContain('\n');
    expect(line!.length).toBeLessThan(200);
  });

  test('graphs nested without end', () => {
    let graph = small.graph;
    for (let depth = 0; depth < 20; depth++)
      graph = {
        ...makeModel({
          inputs: [],
          outputs: [{ name: 'y', type: 'float32', dims: undefined }],
          nodes: [makeNode('If', ['flag'], ['y'], { then_branch: { kind: 'graph', value: graph } })],
        }).graph,
        inputs: small.graph.inputs,
      };
    expect(complaint(writeModel({ ...small, graph }))).toMatch(/deep/);
  });
});

test('a convolution with fewer strides than axes, and padding to be worked out, is refused in a line', () => {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [1, 2, 6, 6] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [makeNode('Conv', ['x', 'w'], ['y'], { strides: ints([2]), auto_pad: string('SAME_UPPER') })],
    initializers: [['w', numbersWeight('float32', [3, 2, 3, 3], Array<number>(54).fill(1))]],
  });
  expect(() => normalizeModel(model)).toThrow(/^Conv "Conv_y": its strides, dilations and padding do not fit/);
});

test('a tensor of one value with a length below zero has no shape that is known', () => {
  const one = { kind: 'tensor', value: numbersWeight('int64', [1], [1]) } as const;
  const model = makeModel({
    outputs: [{ name: 'y', type: 'int64', dims: undefined }],
    inputs: [],
    nodes: [makeNode('ConstantOfShape', ['shape'], ['y'], { value: one })],
    initializers: [['shape', numbersWeight('int64', [1], [-3])]],
  });
  expect(inferGraph(model.graph, opsetOf(model)).get('y')).toMatchObject({ values: undefined });
});

test('what names in a file hold is shown without control characters, and not at any length', () => {
  const line = complaint(
    changed((proto) => (proto.graph!.node[0]!.input[0] = `\u001b[31mred\r\n\u0007${'long '.repeat(2000)}`)),
  )!;
  expect(line).toMatch(/^not a valid ONNX model: node "Conv_c" reads "\ufffd\[31mred \ufffdlong /);
  expect(line).toMatch(/long ", which nothing before it produces$/);
  expect(line.length).toBeLessThan(1000);
});

describe('strange but possible dims are read', () => {
  const withDims = (dims: bigint[]) =>
    changed((proto) => {
      const type = proto.graph!.input[0]!.type!.value;
      if (type.case !== 'tensorType') throw new Error('not a tensor');
      type.value.shape!.dim.forEach((dim, axis) => {
        dim.value = { case: 'dimValue', value: dims[axis]! };
      });
    });
  test('huge ones', () => expect(() => useModel(withDims([1n, 2n, 2n ** 62n, 2n ** 62n]))).not.toThrow());
  test('negative ones, as unknown', () => {
    const file = withDims([-1n, 2n, -1n, 6n]);
    expect(() => useModel(file)).not.toThrow();
    expect(readModel(file).graph.inputs[0]!.dims).toEqual([undefined, 2, undefined, 6]);
  });
  test('of zero length', () => expect(() => useModel(withDims([0n, 2n, 6n, 6n]))).not.toThrow());
});

test('whatever bytes of a model are changed, only UserErrors are thrown', () => {
  const random = chance(2);
  let refused = 0;
  const rounds = 2000;
  for (let round = 0; round < rounds; round++) {
    const file = Uint8Array.from(bytes);
    const changes = 1 + Math.floor(random(0, 4));
    for (let change = 0; change < changes; change++)
      file[Math.floor(random(0, file.length))] = Math.floor(random(0, 256));
    if (complaint(round % 4 === 0 ? file.subarray(0, Math.floor(random(0, file.length))) : file) !== undefined)
      refused++;
  }
  expect(refused).toBeGreaterThan(rounds / 4);
});

function protoOf(model: Model): ModelProto {
  return fromBinary(ModelProtoSchema, writeModel(model));
}
