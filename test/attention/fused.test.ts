/** Attention that comes as one node is found like any other. */
import { expect, test } from 'vitest';
import { locateAttention } from '../../src/attention/index.ts';
import { int, ints, normalizeModel, numbersWeight } from '../../src/onnx/index.ts';
import { makeModel, makeNode } from '../models.ts';

const float = (name: string, dims: readonly number[]) => ({ name, type: 'float32' as const, dims });

test.each([
  ['Attention', '', 23, { q_num_heads: int(2), kv_num_heads: int(2) }],
  ['MultiHeadAttention', 'com.microsoft', 18, { num_heads: int(2) }],
] as const)('the probabilities of a fused %s are found, under its own name', (operator, domain, opset, attributes) => {
  const node = makeNode(operator, ['q', 'k', 'v'], ['y'], attributes, domain);
  const model = makeModel({
    inputs: [float('q', [1, 3, 8]), float('k', [1, 4, 8]), float('v', [1, 4, 8])],
    outputs: [float('y', [1, 3, 8])],
    nodes: [{ ...node, name: '/encoder/layer.1/attention/self' }],
    opset,
  });
  const blocks = locateAttention(normalizeModel(model));
  expect(blocks).toMatchObject([{ layer: 1, kind: 'encoder', heads: 2, path: 'encoder.layer.1.attention.self' }]);
});

test('lengths of the sequences, compared with positions, hide padding and not the future', () => {
  const model = makeModel({
    inputs: [float('x', [2, 3, 8]), { name: 'lengths', type: 'int32', dims: [2] }],
    outputs: [float('y', [2, 3, 8])],
    nodes: [makeNode('Attention', ['x', 'w', 'b', 'lengths'], ['y'], { num_heads: int(2) }, 'com.microsoft')],
    initializers: [
      ['w', numbersWeight('float32', [8, 24], Array<number>(192).fill(0.1))],
      ['b', numbersWeight('float32', [24], Array<number>(24).fill(0))],
    ],
  });
  expect(locateAttention(normalizeModel(model))).toMatchObject([{ kind: 'encoder', heads: 2 }]);
});

test('self-attention that sees all and asks another is a decoder, whatever it is called', () => {
  const project = (from: string, to: string) => makeNode('MatMul', [from, 'w'], [to]);
  const attend = (queries: string, keys: string, to: string) => [
    ...['q', 'k', 'v'].map((part, at) => project(at === 0 ? queries : keys, `${to}/${part}`)),
    makeNode(
      'MultiHeadAttention',
      ['q', 'k', 'v'].map((part) => `${to}/${part}`),
      [to],
      { num_heads: int(2) },
      'com.microsoft',
    ),
  ];
  const model = makeModel({
    inputs: [float('picture', [1, 4, 8]), float('objects', [1, 3, 8])],
    outputs: [float('y', [1, 3, 8])],
    nodes: [
      ...attend('picture', 'picture', 'seen'),
      ...attend('objects', 'objects', 'asked'),
      ...attend('asked', 'seen', 'y'),
    ],
    initializers: [['w', numbersWeight('float32', [8, 8], Array<number>(64).fill(0.1))]],
  });
  expect(locateAttention(normalizeModel(model)).map(({ kind }) => kind)).toEqual(['encoder', 'decoder', 'cross']);
});

test('keys of fewer positions that are made from the queries’ own, as Segformer’s, are self-attention', () => {
  const matrix = numbersWeight(
    'float32',
    [4, 4],
    Array.from({ length: 16 }, (_, at) => Math.sin(at)),
  );
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [1, 6, 4] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1, 6, 4] }],
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['h']),
      makeNode('MatMul', ['h', 'w'], ['q']),
      makeNode('Transpose', ['h'], ['channels'], { perm: ints([0, 2, 1]) }),
      makeNode('Conv', ['channels', 'kernel'], ['fewer'], { strides: ints([2]) }),
      makeNode('Transpose', ['fewer'], ['reduced'], { perm: ints([0, 2, 1]) }),
      makeNode('MatMul', ['reduced', 'w'], ['k']),
      makeNode('MatMul', ['reduced', 'w'], ['v']),
      makeNode('Transpose', ['k'], ['kt'], { perm: ints([0, 2, 1]) }),
      makeNode('MatMul', ['q', 'kt'], ['scores']),
      makeNode('Softmax', ['scores'], ['p'], { axis: int(-1) }),
      makeNode('MatMul', ['p', 'v'], ['y']),
    ],
    initializers: [
      ['w', matrix],
      [
        'kernel',
        numbersWeight(
          'float32',
          [4, 4, 2],
          Array.from({ length: 32 }, (_, at) => Math.cos(at)),
        ),
      ],
    ],
  });
  expect(locateAttention(normalizeModel(model)).map(({ kind }) => kind)).toEqual(['encoder']);
});
