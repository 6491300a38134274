/** Whole models made by hand, small enough to know everything about. */
import { create } from '@bufbuild/protobuf';
import { TypeProtoSchema } from 'onnx-buf';
import type { TypeProto } from 'onnx-buf';
import type { DenseTensor, Model, ValueInfo, Weight } from '../src/onnx/index.ts';
import { int, ints, numbersWeight, sizeOf } from '../src/onnx/index.ts';
import { chance, makeModel, makeNode } from './models.ts';

/** A weight of random numbers in [-scale, scale]. */
export function randomWeight(dims: readonly number[], seed: number, scale = 1): Weight {
  const random = chance(seed);
  return numbersWeight(
    'float32',
    dims,
    Array.from({ length: sizeOf(dims) }, () => random(-scale, scale)),
  );
}

export function randomTensor(dims: readonly number[], seed: number): DenseTensor {
  const random = chance(seed);
  return { type: 'float32', dims, data: Float32Array.from({ length: sizeOf(dims) }, () => random()) };
}

const x: ValueInfo = { name: 'x', type: 'float32', dims: ['batch', 4] };
const y: ValueInfo = { name: 'y', type: 'float32', dims: ['batch', 3] };

/** x [batch, 4] -> tanh layer of 8 -> y [batch, 3]. `seed` makes another model of the same shape. */
export function perceptron(seed = 1): Model {
  return makeModel({
    inputs: [x],
    outputs: [y],
    nodes: [
      makeNode('Gemm', ['x', 'w1', 'b1'], ['h']),
      makeNode('Tanh', ['h'], ['t']),
      makeNode('Gemm', ['t', 'w2', 'b2'], ['y']),
    ],
    initializers: [
      ['w1', randomWeight([4, 8], seed)],
      ['b1', randomWeight([8], seed + 1)],
      ['w2', randomWeight([8, 3], seed + 2)],
      ['b2', randomWeight([3], seed + 3)],
    ],
  });
}

/**
 * As exported with a batch of 1: x [1, 2, 8] passes two Reshapes that name it, and goes around them to be added again.
 * `batch` 0 keeps the batch free.
 */
export function bakedBatch(batch: 0 | 1): Model {
  const shape = (dims: readonly number[]) => numbersWeight('int64', [dims.length], dims);
  const rows = batch === 0 ? 'batch' : 1;
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [rows, 2, 8] }],
    outputs: [{ name: 'y', type: 'float32', dims: [rows, 3] }],
    nodes: [
      makeNode('Reshape', ['x', 'flat'], ['f']),
      makeNode('Gemm', ['f', 'w1'], ['h']),
      makeNode('Tanh', ['h'], ['t']),
      makeNode('Reshape', ['t', 'heads'], ['r']),
      makeNode('Transpose', ['r'], ['s'], { perm: ints([0, 2, 1]) }),
      makeNode('Softmax', ['s'], ['p'], { axis: int(2) }),
      makeNode('Flatten', ['p'], ['q'], { axis: int(1) }),
      makeNode('Gemm', ['q', 'w2'], ['z']),
      makeNode('Flatten', ['x'], ['skip'], { axis: int(1) }),
      makeNode('MatMul', ['skip', 'w3'], ['v']),
      makeNode('Add', ['z', 'v'], ['y']),
    ],
    initializers: [
      ['flat', shape([batch, batch === 0 ? -1 : 16])],
      ['w1', randomWeight([16, 12], 5)],
      ['heads', shape([batch, 3, 4])],
      ['w2', randomWeight([12, 3], 6)],
      ['w3', randomWeight([16, 3], 7)],
    ],
  });
}

/** As exported with a free batch: x [batch, 2, 8] is reshaped to [batch, 4, 4], with the batch read off x itself. */
export function readsBatch(): Model {
  const vector = (values: readonly number[]) => numbersWeight('int64', [values.length], values);
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 2, 8] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['batch', 3] }],
    nodes: [
      makeNode('Shape', ['x'], ['shape']),
      makeNode('Gather', ['shape', 'zero'], ['batch']),
      makeNode('Unsqueeze', ['batch', 'axes'], ['rows']),
      makeNode('Concat', ['rows', 'rest'], ['to'], { axis: int(0) }),
      makeNode('Reshape', ['x', 'to'], ['r']),
      makeNode('Softmax', ['r'], ['p'], { axis: int(2) }),
      makeNode('MatMul', ['p', 'w'], ['h']),
      makeNode('ReduceMean', ['h', 'axes1'], ['y'], { keepdims: int(0) }),
    ],
    initializers: [
      ['zero', numbersWeight('int64', [], [0])],
      ['axes', vector([0])],
      ['axes1', vector([1])],
      ['rest', vector([4, 4])],
      ['w', randomWeight([4, 3], 13)],
    ],
  });
}

/** Long to run: a chain of matrix products of x [n, n] with a constant. */
export function longChain(n: number, products: number): Model {
  const names = Array.from({ length: products }, (_, index) => (index === products - 1 ? 'y' : `h${index}`));
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [n, n] }],
    outputs: [{ name: 'y', type: 'float32', dims: [n, n] }],
    nodes: names.map((name, index) => makeNode('MatMul', [index === 0 ? 'x' : names[index - 1]!, 'w'], [name])),
    initializers: [['w', randomWeight([n, n], 7, 1 / n)]],
  });
}

/** Its only output is of integers. */
export function integerAnswer(): Model {
  return makeModel({
    inputs: [x],
    outputs: [{ name: 'label', type: 'int64', dims: ['batch'] }],
    nodes: [makeNode('ArgMax', ['x'], ['label'], { axis: int(1), keepdims: int(0) })],
  });
}

/** As scikit-learn classifiers are exported: a label and a sequence of maps from class to probability. */
export function zipMap(withScores: boolean): Model {
  const model = makeModel({
    inputs: [x],
    outputs: [
      { name: 'label', type: 'int64', dims: ['batch'] },
      { name: 'probabilities', type: 'float32', dims: undefined },
      ...(withScores ? [{ ...y, name: 'scores' }] : []),
    ],
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['scores']),
      makeNode('ArgMax', ['scores'], ['label'], { axis: int(1), keepdims: int(0) }),
      makeNode('ZipMap', ['scores'], ['probabilities'], { classlabels_int64s: ints([0, 1, 2]) }, 'ai.onnx.ml'),
    ],
    initializers: [['w', randomWeight([4, 3], 8)]],
  });
  const float32 = create(TypeProtoSchema, { value: { case: 'tensorType', value: { elemType: 1 } } });
  const map = create(TypeProtoSchema, { value: { case: 'mapType', value: { keyType: 7, valueType: float32 } } });
  const sequence: TypeProto = create(TypeProtoSchema, { value: { case: 'sequenceType', value: { elemType: map } } });
  return {
    ...model,
    opsets: new Map([...model.opsets, ['ai.onnx.ml', 3]]),
    graph: { ...model.graph, otherTypes: new Map([['probabilities', sequence]]) },
  };
}

/** Two operators without a gradient rule on the way from x [batch, 2, 2] to y. */
export function withoutRules(): Model {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 2, 2] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['batch', 1] }],
    nodes: [
      makeNode('Rfft', ['x'], ['b'], {}, 'com.microsoft'),
      makeNode('Add', ['x', 'b'], ['s']),
      makeNode('Unfold', ['s'], ['d'], {}, 'com.example'),
      makeNode('Unsqueeze', ['d', 'axes'], ['y']),
    ],
    initializers: [['axes', numbersWeight('int64', [1], [1])]],
  });
  return { ...model, opsets: new Map([...model.opsets, ['com.microsoft', 1], ['com.example', 1]]) };
}

/** An operator of a domain nobody knows, so that nothing is known of what comes after it. */
export function unknownOperator(): Model {
  const model = makeModel({
    inputs: [x],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [makeNode('Wobble', ['x'], ['h'], {}, 'com.example'), makeNode('Tanh', ['h'], ['y'])],
  });
  return { ...model, opsets: new Map([...model.opsets, ['com.example', 2]]) };
}

/** A weight in a file beside the model. */
export function externalWeight(location: string): Model {
  return makeModel({
    inputs: [x],
    outputs: [y],
    nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
    initializers: [
      ['w', { type: 'float32', dims: [4, 3], storage: { kind: 'external', location, offset: 0, length: 48 } }],
    ],
  });
}

/** A picture of any size -> three numbers. */
export function anySizePicture(): Model {
  return makeModel({
    inputs: [{ name: 'pixels', type: 'float32', dims: ['batch', 3, 'height', 'width'] }],
    outputs: [y],
    nodes: [
      makeNode('GlobalAveragePool', ['pixels'], ['p']),
      makeNode('Flatten', ['p'], ['f'], { axis: int(1) }),
      makeNode('MatMul', ['f', 'w'], ['y']),
    ],
    initializers: [['w', randomWeight([3, 3], 9)]],
  });
}
