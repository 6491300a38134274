/** What is read is what was written. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { FunctionProtoSchema, ModelProtoSchema, TensorProtoSchema, TypeProtoSchema } from 'onnx-buf';
import { afterAll, describe, expect, test } from 'vitest';
import type { Attribute, DataType, Model, Weight } from '../../src/onnx/index.ts';
import {
  byteLength,
  float,
  int,
  ints,
  numbersWeight,
  readModel,
  string,
  tensorWeight,
  weightNumbers,
  weightTensor,
  writeModel,
} from '../../src/onnx/index.ts';
import { makeModel, makeNode, numbersOf, runModel } from '../models.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-'));
afterAll(() => rmSync(folder, { recursive: true }));

const roundTrip = (model: Model) => readModel(writeModel(model));

/** A model with nodes of these attributes only; nothing runs it. */
const withAttributes = (attributes: Record<string, Attribute>) =>
  makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 3, undefined] }],
    outputs: [{ name: 'y', type: 'float16', dims: undefined }],
    nodes: [makeNode('Custom', ['x', '', 'x'], ['y', '', 'z'], attributes, 'my.domain')],
  });

test('names, domains, absent inputs and outputs, dims of every kind stay', () => {
  const model = withAttributes({});
  const { graph } = roundTrip(model);
  expect(graph.nodes).toEqual(model.graph.nodes);
  expect(graph.inputs).toEqual(model.graph.inputs);
  expect(graph.outputs).toEqual(model.graph.outputs);
});

test('attributes of every kind stay', () => {
  const attributes: Record<string, Attribute> = {
    int: int(-5),
    far: int(2 ** 63),
    near: int(-(2 ** 63)),
    ints: ints([1, -2, 2 ** 40]),
    none: ints([]),
    float: float(0.5),
    floats: { kind: 'floats', value: [0.25, -1] },
    string: string('naïve 模型 😀'),
    strings: { kind: 'strings', value: ['a', '', 'é'] },
  };
  expect(roundTrip(withAttributes(attributes)).graph.nodes[0]!.attributes).toEqual(attributes);
});

test('a tensor as an attribute stays', () => {
  const weight = numbersWeight('float64', [2], [0.1, 0.2]);
  const read = roundTrip(withAttributes({ value: { kind: 'tensor', value: weight } })).graph.nodes[0]!;
  const value = read.attributes['value'];
  expect(value?.kind === 'tensor' && weightNumbers(value.value)).toEqual([0.1, 0.2]);
});

test('a graph as an attribute stays, with its weights and its outer values', () => {
  const inner = makeModel({
    inputs: [],
    outputs: [{ name: 'b', type: 'float32', dims: [3] }],
    nodes: [makeNode('Add', ['x', 'w'], ['b'])],
    initializers: [['w', numbersWeight('float32', [1], [2])]],
  }).graph;
  const read = roundTrip(withAttributes({ body: { kind: 'graph', value: inner } })).graph.nodes[0]!.attributes['body'];
  if (read?.kind !== 'graph') throw new Error('no graph');
  expect(read.value.nodes).toEqual(inner.nodes);
  expect(weightNumbers(read.value.initializers.get('w')!)).toEqual([2]);
});

test('functions, metadata, operator sets and types that are not tensors stay', () => {
  const plain = withAttributes({});
  const type = create(TypeProtoSchema, {
    value: { case: 'sequenceType', value: { elemType: { value: { case: 'tensorType', value: { elemType: 1 } } } } },
  });
  const model: Model = {
    ...plain,
    functions: [create(FunctionProtoSchema, { name: 'Double', domain: 'my.domain', input: ['a'], output: ['b'] })],
    metadata: new Map([['author', 'ourselves']]),
    opsets: new Map([
      ['', 17],
      ['my.domain', 2],
    ]),
    graph: { ...plain.graph, otherTypes: new Map([['y', type]]) },
  };
  const read = roundTrip(model);
  expect(read.functions.map(({ name, input }) => [name, input])).toEqual([['Double', ['a']]]);
  expect(read.metadata).toEqual(model.metadata);
  expect(read.opsets).toEqual(model.opsets);
  expect(read.graph.otherTypes.get('y')?.value.case).toBe('sequenceType');
});

test('the names inference gives to unknown dims are not written', () => {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['?x.0', '(a+b)', 'a'] }],
    outputs: [{ name: 'x', type: 'float32', dims: undefined }],
    nodes: [],
  });
  expect(roundTrip(model).graph.inputs[0]!.dims).toEqual([undefined, undefined, 'a']);
});

describe('weights of every type', () => {
  const types: [DataType, number[]][] = [
    ['float32', [0.5, -1, 3]],
    ['float64', [0.1, -1, 3]],
    ['float16', [0.5, -1, 3]],
    ['bfloat16', [0.5, -1, 3]],
    ['int8', [-128, 0, 127]],
    ['uint8', [0, 1, 255]],
    ['int16', [-32768, 0, 32767]],
    ['uint16', [0, 1, 65535]],
    ['int32', [-(2 ** 31), 0, 2 ** 31 - 1]],
    ['uint32', [0, 1, 2 ** 32 - 1]],
    ['int64', [-(2 ** 53), 0, 2 ** 53]],
    ['uint64', [0, 1, 2 ** 53]],
    ['bool', [0, 1, 1]],
  ];
  const read = (weight: Weight) =>
    roundTrip(
      makeModel({
        inputs: [],
        outputs: [{ name: 'w', type: weight.type, dims: undefined }],
        nodes: [],
        initializers: [['w', weight]],
      }),
    ).graph.initializers.get('w')!;

  test.each(types)('%s as raw bytes', (type, values) => {
    const weight = read(numbersWeight(type, [3], values));
    expect([weight.type, weight.dims, weightNumbers(weight)]).toEqual([type, [3], values]);
  });

  test.each(types)('%s in the typed fields', (type, values) => {
    const raw = weightTensor(numbersWeight(type, [3], values))!.data as ArrayLike<number | bigint>;
    const numbers = Array.from(raw, Number);
    const fields =
      type === 'float32'
        ? { floatData: values }
        : type === 'float64'
          ? { doubleData: values }
          : type === 'int64'
            ? { int64Data: values.map(BigInt) }
            : type === 'uint64' || type === 'uint32'
              ? { uint64Data: values.map(BigInt) }
              : { int32Data: numbers };
    const typeNumber = TYPE_NUMBERS[type]!;
    const tensor = create(TensorProtoSchema, { name: 'w', dataType: typeNumber, dims: [3n], ...fields });
    const file = toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ version: 18n }], graph: { initializer: [tensor] } }),
    );
    expect(weightNumbers(readModel(file).graph.initializers.get('w')!)).toEqual(values);
  });

  test.each(['uint4', 'int4', 'float4e2m1', 'float8e4m3fn', 'float8e5m2', 'complex64', 'complex128'] as const)(
    '%s, byte by byte',
    (type) => {
      const bytes = Uint8Array.from({ length: byteLength(type, [3]) }, (_, at) => 17 * at + 1);
      const { storage } = read({ type, dims: [3], storage: { kind: 'bytes', bytes } });
      expect(storage.kind === 'bytes' && Uint8Array.from(storage.bytes)).toEqual(bytes);
    },
  );

  test('strings', () => {
    const weight = tensorWeight({ type: 'string', dims: [2], data: ['täg', ''] });
    expect(weightTensor(read(weight))).toEqual({ type: 'string', dims: [2], data: ['täg', ''] });
  });

  test('no elements', () => {
    expect(read(numbersWeight('float32', [0, 3], [])).dims).toEqual([0, 3]);
  });
});

const TYPE_NUMBERS: Readonly<Record<string, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

describe('weights that stay where they are', () => {
  const values = Array.from({ length: 1024 }, (_, at) => Math.sin(at));
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [1, 32] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1, 32] }],
    nodes: [makeNode('MatMul', ['x', 'w'], ['a']), makeNode('Add', ['a', 'b'], ['y'])],
    initializers: [
      ['w', numbersWeight('float32', [32, 32], values)],
      ['b', numbersWeight('float32', [32], values.slice(0, 32))],
    ],
  });
  const feeds = { x: { type: 'float32', dims: [1, 32], data: Float32Array.from(values.slice(0, 32)) } } as const;

  test('are views on the file that was read', () => {
    const file = writeModel(model);
    const { storage } = readModel(file).graph.initializers.get('w')!;
    if (storage.kind !== 'bytes') throw new Error('no bytes');
    expect(storage.bytes.buffer).toBe(file.buffer);
    expect(file.subarray(storage.fileOffset, storage.fileOffset! + 4096)).toEqual(storage.bytes);
  });

  test('are referenced in that file, and run from there', async () => {
    const file = path.join(folder, 'whole.onnx');
    writeFileSync(file, writeModel(model));
    const small = writeModel(readModel(readFileSync(file)), { weightsIn: 'whole.onnx' });
    expect(small.length).toBeLessThan(1000);
    const [expected, actual] = [await runModel(model, feeds), await runModel(small, feeds, { weightsFolder: folder })];
    expect(numbersOf(actual['y']!)).toEqual(numbersOf(expected['y']!));
  });

  test('in another file are never read, and referenced again as they were', async () => {
    writeFileSync(path.join(folder, 'weights.bin'), new Uint8Array(Float32Array.from([9, ...values]).buffer));
    const storage = { kind: 'external', location: 'weights.bin', offset: 4, length: 4096 } as const;
    const initializers = new Map([
      ...model.graph.initializers,
      ['w', { type: 'float32', dims: [32, 32], storage }] as const,
    ]);
    const external = { ...model, graph: { ...model.graph, initializers } };
    const read = roundTrip(external);
    expect(read.graph.initializers.get('w')!.storage).toEqual(storage);
    const [expected, actual] = [
      await runModel(model, feeds),
      await runModel(writeModel(read), feeds, { weightsFolder: folder }),
    ];
    expect(numbersOf(actual['y']!)).toEqual(numbersOf(expected['y']!));
  });
});
