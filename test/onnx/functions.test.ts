/** Functions and branches are put into the graph around them, whose names may be theirs as well. */
import { create, toBinary } from '@bufbuild/protobuf';
import { AttributeProto_AttributeType, ModelProtoSchema, TensorProto_DataType } from 'onnx-buf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { FunctionProtoSchema, GraphProtoSchema, NodeProtoSchema } from 'onnx-buf';
import { expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import type { DenseTensor, Graph, Node, ValueInfo } from '../../src/onnx/index.ts';
import { normalizeModel, numbersWeight, readModel, writeModel } from '../../src/onnx/index.ts';
import { makeModel, makeNode, numbersOf, runModel } from '../models.ts';

type NodeInit = MessageInitShape<typeof NodeProtoSchema>;
const call = (opType: string, input: string[], output: string[], more: NodeInit = {}): NodeInit => ({
  opType,
  input,
  output,
  ...more,
});
const info = (name: string, elemType = TensorProto_DataType.FLOAT, dims = [3n]) => ({
  name,
  type: {
    value: {
      case: 'tensorType' as const,
      value: { elemType, shape: { dim: dims.map((value) => ({ value: { case: 'dimValue' as const, value } })) } },
    },
  },
});
const opsets = [
  { domain: '', version: 18n },
  { domain: 'mine', version: 1n },
];

function fileOf(
  graph: MessageInitShape<typeof GraphProtoSchema>,
  functions: MessageInitShape<typeof FunctionProtoSchema>[],
): Uint8Array {
  const model = { irVersion: 10n, opsetImport: opsets, graph: { name: 'g', ...graph }, functions };
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, model));
}

const x: DenseTensor = { type: 'float32', dims: [3], data: Float32Array.of(0.5, -1, 2) };

test('of functions of one name the call says which overload it means', async () => {
  const of = (overload: string, opType: string) => ({
    domain: 'mine',
    name: 'F',
    overload,
    input: ['a'],
    output: ['b'],
    node: [call(opType, ['a'], ['b'])],
    opsetImport: opsets,
  });
  const file = fileOf(
    {
      input: [info('x')],
      output: [info('y')],
      node: [
        call('F', ['x'], ['t'], { domain: 'mine', overload: 'first' }),
        call('F', ['t'], ['y'], { domain: 'mine', overload: 'second' }),
      ],
    },
    [of('first', 'Sin'), of('second', 'Exp')],
  );
  const expected = await runModel(file, { x });
  const read = readModel(file);
  expect(await runModel(writeModel(read), { x })).toEqual(expected);
  expect(await runModel(normalizeModel(read), { x })).toEqual(expected);
});

test('names within the branches of a function may be names around the call', async () => {
  const branch = (name: string, node: NodeInit, output: string) => ({
    name,
    type: AttributeProto_AttributeType.GRAPH,
    g: { name, node: [node], output: [info(output)] },
  });
  const choose = {
    domain: 'mine',
    name: 'Choose',
    input: ['a', 'flag'],
    output: ['b'],
    opsetImport: opsets,
    node: [
      call('If', ['flag'], ['b'], {
        attribute: [
          branch('then_branch', call('Sin', ['a'], ['t']), 't'),
          branch('else_branch', call('Neg', ['a'], ['e']), 'e'),
        ],
      }),
    ],
  };
  const file = fileOf(
    {
      input: [info('x'), info('flag', TensorProto_DataType.BOOL, [])],
      output: [info('y')],
      node: [
        call('Choose', ['x', 'flag'], ['t'], { domain: 'mine' }),
        call('Choose', ['t', 'flag'], ['y'], { domain: 'mine' }),
      ],
    },
    [choose],
  );
  for (const flag of [0, 1]) {
    const feeds = { x, flag: { type: 'bool', dims: [], data: Uint8Array.of(flag) } } as const;
    expect(await runModel(normalizeModel(readModel(file)), feeds)).toEqual(await runModel(file, feeds));
  }
});

const value = (name: string, type: ValueInfo['type'] = 'float64', dims: ValueInfo['dims'] = [2]): ValueInfo => ({
  name,
  type,
  dims,
});
const graphOf = (inputs: readonly ValueInfo[], outputs: readonly ValueInfo[], nodes: readonly Node[]) =>
  ({
    kind: 'graph',
    value: {
      name: 'inner',
      inputs,
      outputs,
      nodes,
      initializers: new Map(),
      valueInfos: new Map(),
      otherTypes: new Map(),
    } satisfies Graph,
  }) as const;

test('a branch that is taken keeps clear of names within other branches', async () => {
  const branch = (operator: string) =>
    graphOf([], [value('out')], [makeNode(operator, ['x'], ['inner']), makeNode('Exp', ['inner'], ['out'])]);
  const model = makeModel({
    inputs: [value('x'), value('flag', 'bool', [])],
    outputs: [value('y')],
    nodes: [
      makeNode('If', ['always'], ['a'], { then_branch: branch('Sin'), else_branch: branch('Neg') }),
      makeNode('If', ['flag'], ['b'], { then_branch: branch('Cos'), else_branch: branch('Neg') }),
      makeNode('Mul', ['a', 'b'], ['y']),
    ],
    initializers: [['always', numbersWeight('bool', [], [1])]],
  });
  const feeds = {
    x: { type: 'float64', dims: [2], data: Float64Array.of(0.5, -1) },
    flag: { type: 'bool', dims: [], data: Uint8Array.of(1) },
  } as const;
  const { y } = await runModel(normalizeModel(model), feeds);
  numbersOf(y!).forEach((each, at) => {
    const given = feeds.x.data[at]!;
    expect(each).toBeCloseTo(Math.exp(Math.sin(given)) * Math.exp(Math.cos(given)), 12);
  });
});

test('the gradient of a loop keeps clear of names that stand around it after all', async () => {
  // `last` is a value of the body and an output of the loop: in the body it is not seen, but behind the loop it would be.
  const body = graphOf(
    [value('step', 'int64', []), value('go', 'bool', []), value('state')],
    [value('on', 'bool', []), value('last')],
    [
      makeNode('Sin', ['state'], ['inner']),
      makeNode('Mul', ['inner', 'w'], ['scaled']),
      makeNode('Tanh', ['scaled'], ['last']),
      makeNode('Identity', ['go'], ['on']),
    ],
  );
  const model = makeModel({
    inputs: [value('x'), value('w')],
    outputs: [value('y')],
    nodes: [makeNode('Loop', ['count', '', 'x'], ['last'], { body }), makeNode('Exp', ['last'], ['y'])],
    initializers: [['count', numbersWeight('int64', [], [2])]],
  });
  const { model: program, gradients } = differentiate(normalizeModel(model), { of: 'y', wrt: ['x', 'w'] });
  const [at, w] = [
    [0.5, -1],
    [0.8, 1.5],
  ];
  const tensor = (data: number[]): DenseTensor => ({ type: 'float64', dims: [2], data: Float64Array.from(data) });
  const results = await runModel(program, { x: tensor(at!), w: tensor(w!) });
  const step = (x: number, w: number) => Math.tanh(w * Math.sin(x));
  const f = (x: number, w: number) => Math.exp(step(step(x, w), w));
  const h = 1e-5;
  at!.forEach((x, index) => {
    const slope = (f(x + h, w![index]!) - f(x - h, w![index]!)) / (2 * h);
    expect(numbersOf(results[gradients.get('x')!]!)[index]).toBeCloseTo(slope, 6);
  });
});
