/** Files as people have them: functions, sparse and external weights, old versions, merged decoders, half precision. */
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, StringStringEntryProtoSchema } from 'onnx-buf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkGradient } from '../../conformance/check-gradient.ts';
import { toFloat64, tensorToFloat64 } from '../../conformance/float64.ts';
import { maxDifference, numbersOf } from '../../conformance/numbers.ts';
import { differentiate } from '../../src/autodiff/index.ts';
import type { DenseTensor, Model } from '../../src/onnx/index.ts';
import {
  UserError,
  inferGraph,
  int,
  normalizeModel,
  numbersToData,
  numbersWeight,
  readModel,
  sizeOf,
  writeModel,
} from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import { chance, makeModel, makeNode, runModel } from '../models.ts';

const FIXTURES = path.join(import.meta.dirname, 'fixtures');
const bytesOf = (name: string) => readFileSync(path.join(FIXTURES, name));

const random = chance(11);
const tensor = (...dims: number[]): DenseTensor => ({
  type: 'float32',
  dims,
  data: numbersToData(
    'float32',
    Array.from({ length: sizeOf(dims) }, () => random()),
  ),
});

async function verify(model: Model, x: DenseTensor): Promise<void> {
  const found = await checkGradient({ name: 'file', model, feeds: { x }, wrt: ['x'], outputs: ['y'] });
  expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
}

test('functions of the model are inlined, calls within calls and attributes included', async () => {
  const model = normalizeModel(readModel(bytesOf('functions.onnx')));
  expect(model.functions).toEqual([]);
  expect(model.graph.nodes.map(({ operator }) => operator)).toEqual(['Mul', 'Tanh', 'Mul', 'Mul', 'Tanh', 'Mul']);
  const x = tensor(2, 3);
  expect(await runModel(model, { x })).toEqual(await runModel(bytesOf('functions.onnx'), { x }));
  await verify(model, x);
});

test('sparse weights are read by flat positions and by coordinates', async () => {
  const model = readModel(bytesOf('sparse.onnx'));
  expect([...model.graph.initializers.keys()].sort()).toEqual(['flat', 'pairs']);
  const x = tensor(2, 3);
  expect(await runModel(model, { x })).toEqual(await runModel(bytesOf('sparse.onnx'), { x }));
});

test('elements of known sequences are read as the tensors they are', async () => {
  const float = (name: string, dims: readonly number[] | undefined) => ({ name, type: 'float32' as const, dims });
  const original = makeModel({
    inputs: [float('x', [5, 3])],
    outputs: [float('y', undefined), float('z', undefined)],
    nodes: [
      makeNode('SplitToSequence', ['x', 'two'], ['s'], { axis: int(0) }),
      makeNode('SequenceAt', ['s', 'last'], ['a']),
      makeNode('Tanh', ['a'], ['t']),
      makeNode('SequenceInsert', ['s', 't', 'one'], ['longer']),
      makeNode('SequenceErase', ['longer', 'last'], ['shorter']),
      makeNode('ConcatFromSequence', ['shorter'], ['y'], { axis: int(0) }),
      makeNode('SequenceConstruct', ['t', 'a'], ['pair']),
      makeNode('ConcatFromSequence', ['pair'], ['z'], { axis: int(1), new_axis: int(1) }),
    ],
    initializers: [
      ['two', numbersWeight('int64', [], [2])],
      ['last', numbersWeight('int64', [], [-1])],
      ['one', numbersWeight('int64', [], [1])],
    ],
  });
  const model = normalizeModel(original);
  expect(model.graph.nodes.map(({ operator }) => operator).filter((name) => name.includes('Sequence'))).toEqual([]);
  const x = tensor(5, 3);
  expect(await runModel(model, { x })).toEqual(await runModel(original, { x }));
  await verify(model, x);
});

test('what a sequence is mapped through is done to each of its tensors', async () => {
  const float = (name: string, dims: readonly number[] | undefined) => ({ name, type: 'float32' as const, dims });
  const body = makeModel({
    inputs: [float('element', [2, 3]), float('factor', [3])],
    outputs: [float('turned', undefined), float('plain', undefined)],
    nodes: [
      makeNode('Mul', ['element', 'factor'], ['m']),
      makeNode('Add', ['m', 'shift'], ['a']),
      makeNode('Tanh', ['a'], ['turned']),
      makeNode('Identity', ['element'], ['plain']),
    ],
    initializers: [['shift', numbersWeight('float32', [], [0.3])]],
  }).graph;
  const original = makeModel({
    inputs: [float('x', [4, 3])],
    outputs: [float('y', undefined)],
    nodes: [
      makeNode('SplitToSequence', ['x', 'two'], ['s'], { axis: int(0) }),
      makeNode('SequenceMap', ['s', 'f'], ['t', 'p'], { body: { kind: 'graph', value: body } }),
      makeNode('ConcatFromSequence', ['t'], ['u'], { axis: int(0) }),
      makeNode('SequenceAt', ['p', 'one'], ['last']),
      makeNode('Concat', ['u', 'last'], ['y'], { axis: int(0) }),
    ],
    initializers: [
      ['two', numbersWeight('int64', [], [2])],
      ['one', numbersWeight('int64', [], [1])],
      ['f', numbersWeight('float32', [3], [1, -2, 0.5])],
    ],
  });
  const model = normalizeModel(original);
  expect(model.graph.nodes.some(({ operator }) => operator.includes('Sequence'))).toBe(false);
  const x = tensor(4, 3);
  expect(await runModel(model, { x })).toEqual(await runModel(original, { x }));
  await verify(model, x);
});

test('a file of IR version 3 asks for its inputs only, not for the weights it lists among them', async () => {
  const original = readModel(bytesOf('ir3.onnx'));
  expect(original.irVersion).toBe(3);
  expect(original.graph.inputs.map(({ name }) => name)).toEqual(['x']);
  const x = tensor(2, 3);
  const { model } = differentiate(normalizeModel(original), { of: 'y', wrt: ['x'] });
  expect((await runModel(model, { x }))['y']).toEqual((await runModel(bytesOf('ir3.onnx'), { x }))['y']);
});

test('a merged decoder becomes the branch its flag takes', async () => {
  const original = readModel(bytesOf('merged.onnx'));
  for (const later of [true, false]) {
    const model = normalizeModel(original, { values: { use_cache_branch: later } });
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(['x', 'past']);
    expect(model.graph.nodes.map(({ operator }) => operator)).toEqual(later ? ['Add', 'Tanh'] : ['MatMul', 'Exp']);
    const feeds = { x: tensor(2, 3), past: tensor(2, 3) };
    const flag = { type: 'bool', dims: [1], data: Uint8Array.of(Number(later)) } as const;
    const expected = await runModel(bytesOf('merged.onnx'), { ...feeds, use_cache_branch: flag });
    expect(await runModel(model, feeds)).toEqual(expected);
  }
  expect(() => normalizeModel(original, { values: { nothing: 1 } })).toThrow('no input named "nothing"');
});

test('nodes in any order are put in one that runs, what branches read from outside included', async () => {
  const branch = (operator: string) => ({
    kind: 'graph' as const,
    value: makeModel({
      inputs: [],
      outputs: [{ name: operator, type: 'float32', dims: undefined }],
      nodes: [makeNode(operator, ['doubled'], [operator])],
    }).graph,
  });
  const model = makeModel({
    inputs: [
      { name: 'x', type: 'float32', dims: [2, 3] },
      { name: 'flag', type: 'bool', dims: [] },
    ],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      makeNode('If', ['flag'], ['z'], { then_branch: branch('Relu'), else_branch: branch('Neg') }),
      makeNode('Neg', ['z'], ['y']),
      makeNode('Add', ['x', 'x'], ['doubled']),
    ],
  });
  const read = readModel(writeModel(model));
  expect(read.graph.nodes.map(({ operator }) => operator)).toEqual(['Add', 'If', 'Neg']);
  const x = tensor(2, 3);
  const flag: DenseTensor = { type: 'bool', dims: [], data: Uint8Array.of(0) };
  const results = await runModel(differentiate(normalizeModel(read), { of: 'y', wrt: ['x'] }).model, { x, flag });
  expect(numbersOf(results['y']!)).toEqual(numbersOf(x).map((value) => 2 * value));
  expect(numbersOf(results['x_grad']!)).toEqual(Array(6).fill(2));
});

test('nodes whose exporter keeps their modules in metadata are called by them', () => {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [2] }],
    outputs: [{ name: 'y', type: 'float32', dims: [2] }],
    nodes: [makeNode('Neg', ['x'], ['a']), makeNode('Neg', ['a'], ['b']), makeNode('Neg', ['b'], ['y'])],
  });
  const proto = fromBinary(ModelProtoSchema, writeModel(model));
  const scopes = "['', 'encoder', 'encoder.layer.0', 'encoder.layer.0.self', 'neg']";
  for (const node of proto.graph!.node.slice(0, 2))
    node.metadataProps = [create(StringStringEntryProtoSchema, { key: 'pkg.torch.onnx.name_scopes', value: scopes })];
  const { graph } = readModel(toBinary(ModelProtoSchema, proto));
  expect(graph.nodes.map(({ name }) => name)).toEqual([
    '/encoder/layer.0/self/Neg',
    '/encoder/layer.0/self/Neg_1',
    'Neg_y',
  ]);
});

test('elements gathered by indices of unknown rank have the rank of what they are gathered from', () => {
  const model = makeModel({
    inputs: [
      { name: 'x', type: 'float32', dims: [2, 3] },
      { name: 'i', type: 'int64', dims: undefined },
    ],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [makeNode('GatherElements', ['x', 'i'], ['y'], { axis: int(1) })],
  });
  expect(inferGraph(model.graph, 18).get('y')?.dims).toHaveLength(2);
});

test('halves are added up where they were gathered from', async () => {
  const i = { type: 'int64', dims: [1, 3], data: BigInt64Array.of(1n, 1n, 0n) } as const;
  const half = (dims: readonly number[], values: readonly number[]) =>
    ({ type: 'float16', dims, data: numbersToData('float16', values) }) as const;
  for (const operator of ['GatherElements', 'Gather']) {
    const model = makeModel({
      inputs: [
        { name: 'x', type: 'float16', dims: [1, 2] },
        { name: 'i', type: 'int64', dims: [1, 3] },
      ],
      outputs: [{ name: 'y', type: 'float16', dims: undefined }],
      nodes: [makeNode(operator, ['x', 'i'], ['y'], { axis: int(1) })],
    });
    const { model: program } = differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] });
    const results = await runModel(program, { x: half([1, 2], [0.5, 3]), i });
    expect(results['x_grad']).toEqual(half([1, 2], [1, 2]));
  }
});

test('a float16 model has a float16 gradient, close to the one in double precision', async () => {
  const half = normalizeModel(readModel(bytesOf('float16.onnx')));
  const x = tensor(2, 4);
  const gradient = async (model: Model, input: DenseTensor) => {
    const { model: program, gradients } = differentiate(model, { of: 'y', wrt: ['x'] });
    return numbersOf((await runModel(program, { x: input }))[gradients.get('x')!]!);
  };
  const exact = await gradient(toFloat64(half), tensorToFloat64(x));
  expect(maxDifference(exact, await gradient(half, x))).toBeLessThan(5e-3);
});

test('a bfloat16 model reads, writes and differentiates in its own type', () => {
  const model = normalizeModel(readModel(bytesOf('bfloat16.onnx')));
  const { model: program } = differentiate(model, { of: 'y', wrt: ['x', 'w0'] });
  const again = readModel(writeModel(program));
  expect(again.graph.initializers.get('w0')?.type).toBe('bfloat16');
  expect(again.graph.outputs.map(({ name, type }) => [name, type])).toEqual([
    ['y', 'float32'],
    ['x_grad', 'float32'],
    ['w0_grad', 'bfloat16'],
  ]);
});

describe('external weights', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'onnxray-files-'));
    for (const name of ['external.onnx', 'first.bin', 'second.bin'])
      copyFileSync(path.join(FIXTURES, name), path.join(folder, name));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const open = () => ModelHost.open(path.join(folder, 'external.onnx'), { cache: false });

  test('stay where they are, in several files at their offsets; only shapes are read in', async () => {
    const host = await open();
    expect(host.model.graph.initializers.get('w0')?.storage).toEqual({
      kind: 'external',
      location: 'first.bin',
      offset: 64,
      length: 1024,
    });
    expect(host.model.graph.initializers.get('shape')?.storage.kind).toBe('bytes');
    const x = tensor(2, 16);
    const compile = (model: Model) => differentiate(model, { of: 'y', wrt: ['x'] }).model;
    const program = await host.program({ test: 'gradient' }, compile);
    const original = await host.openOriginal();
    expect((await program.run({ x }))['y']).toEqual((await original.run({ x }))['y']);
    expect(writeModel(host.compiled({ test: 'gradient' })!).length).toBeLessThan(4000);
    await original.release();
    await host.release();
  });

  test('whose length the model does not say must be there whole, too', async () => {
    const model = readModel(bytesOf('external.onnx'));
    const initializers = new Map(model.graph.initializers);
    const weight = initializers.get('w0')!;
    const storage = { kind: 'external', location: 'first.bin', offset: 64, length: undefined } as const;
    initializers.set('w0', { ...weight, storage });
    writeFileSync(
      path.join(folder, 'external.onnx'),
      writeModel({ ...model, graph: { ...model.graph, initializers } }),
    );
    truncateSync(path.join(folder, 'first.bin'), 500);
    await expect(open()).rejects.toThrow('first.bin is too short: the weight "w0" should end at byte 1088 of 500');
  });

  test('that hold shapes are read in within branches and Constant nodes too', async () => {
    const storage = { kind: 'external', location: 'shapes.bin', offset: 0, length: 16 } as const;
    const shape = { type: 'int64', dims: [2], storage } as const;
    writeFileSync(path.join(folder, 'shapes.bin'), new Uint8Array(BigInt64Array.of(3n, 2n).buffer));
    const reshape = (name: string, held: 'initializer' | 'constant') => ({
      kind: 'graph' as const,
      value: {
        name,
        inputs: [],
        outputs: [{ name, type: 'float32' as const, dims: undefined }],
        nodes: [
          ...(held === 'constant'
            ? [makeNode('Constant', [], [`${name}_shape`], { value: { kind: 'tensor', value: shape } })]
            : []),
          makeNode('Reshape', ['x', `${name}_shape`], [name]),
        ],
        initializers: new Map(held === 'initializer' ? [[`${name}_shape`, shape]] : []),
        valueInfos: new Map(),
        otherTypes: new Map(),
      },
    });
    const model = makeModel({
      inputs: [
        { name: 'x', type: 'float32', dims: [2, 3] },
        { name: 'flag', type: 'bool', dims: [] },
      ],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode('If', ['flag'], ['y'], {
          then_branch: reshape('then', 'initializer'),
          else_branch: reshape('else', 'constant'),
        }),
      ],
    });
    writeFileSync(path.join(folder, 'branches.onnx'), writeModel(model));
    const host = await ModelHost.open(path.join(folder, 'branches.onnx'), { cache: false });
    expect(inferGraph(host.model.graph, 18).get('y')?.dims).toEqual([3, 2]);
    await host.release();
  });

  test('that are missing or too short are named', async () => {
    truncateSync(path.join(folder, 'first.bin'), 500);
    await expect(open()).rejects.toThrow('first.bin is too short: the weight "w0" should end at byte 1088 of 500');
    unlinkSync(path.join(folder, 'first.bin'));
    await expect(open()).rejects.toThrow('the weight "w0" is in first.bin, which is missing beside the model');
  });

  test('behind a link out of the folder are refused', async () => {
    unlinkSync(path.join(folder, 'first.bin'));
    symlinkSync(path.join(FIXTURES, 'first.bin'), path.join(folder, 'first.bin'));
    await expect(open()).rejects.toThrow("a link that leads out of the model's folder: refused");
  });

  test.each(['../first.bin', '/etc/hostname', 'a/../../first.bin', 'C:\\first.bin', '..\\first.bin', ''])(
    'at the path %j are refused',
    (location) => {
      const model = readModel(bytesOf('external.onnx'));
      const initializers = new Map(model.graph.initializers);
      const weight = initializers.get('w0')!;
      initializers.set('w0', { ...weight, storage: { kind: 'external', location, offset: 0, length: 1024 } });
      const bytes = writeModel({ ...model, graph: { ...model.graph, initializers } });
      expect(() => readModel(bytes)).toThrow(UserError);
      expect(() => readModel(bytes)).toThrow("not inside the model's folder: refused");
    },
  );
});
