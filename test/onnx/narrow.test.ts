/** Selections moved up: the same answers from fewer places computed. */
import { describe, expect, test } from 'vitest';
import type { Model, Node } from '../../src/onnx/index.ts';
import { inferGraph, int, ints, narrowToRead, numbersWeight, opsetOf } from '../../src/onnx/index.ts';
import { randomTensor, randomWeight } from '../handmade.ts';
import { makeModel, makeNode, numbersOf, runModel } from '../models.ts';

const int64 = (...values: number[]) => numbersWeight('int64', [values.length], values);

/** A layer of attention with two heads, a norm and a feed-forward block over x [batch, tokens, 8]; then `last` on `out`. */
function encoder(...last: readonly Node[]): Model {
  const at = (input: string, weight: string, output: string) => [
    makeNode('MatMul', [input, weight], [`${output}/product`]),
    makeNode('Add', [`${output}/product`, 'bias'], [output]),
  ];
  const heads = (input: string, perm: readonly number[]) => [
    makeNode('Shape', [input], [`${input}/shape`]),
    makeNode('Slice', [`${input}/shape`, 'zero', 'two'], [`${input}/start`]),
    makeNode('Concat', [`${input}/start`, 'heads'], [`${input}/target`], { axis: int(0) }),
    makeNode('Reshape', [input, `${input}/target`], [`${input}/split`]),
    makeNode('Transpose', [`${input}/split`], [`${input}/heads`], { perm: ints(perm) }),
  ];
  const weights = ['wq', 'wk', 'wv', 'wo', 'w1'].map((name, seed) => [name, randomWeight([8, 8], seed + 1)] as const);
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 'tokens', 8] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      ...at('x', 'wq', 'q'),
      ...at('x', 'wk', 'k'),
      ...at('x', 'wv', 'v'),
      ...heads('q', [0, 2, 1, 3]),
      ...heads('k', [0, 2, 3, 1]),
      ...heads('v', [0, 2, 1, 3]),
      makeNode('MatMul', ['q/heads', 'k/heads'], ['scores']),
      makeNode('Softmax', ['scores'], ['probabilities'], { axis: int(-1) }),
      makeNode('MatMul', ['probabilities', 'v/heads'], ['context']),
      makeNode('Transpose', ['context'], ['merged'], { perm: ints([0, 2, 1, 3]) }),
      makeNode('Reshape', ['merged', 'flat'], ['joined']),
      ...at('joined', 'wo', 'attended'),
      makeNode('Add', ['attended', 'x'], ['sum']),
      makeNode('LayerNormalization', ['sum', 'scale', 'bias'], ['normed'], { axis: int(-1) }),
      ...at('normed', 'w1', 'hidden'),
      makeNode('Tanh', ['hidden'], ['active']),
      makeNode('Add', ['active', 'normed'], ['added']),
      makeNode('ReduceMean', ['added', 'minusOne'], ['mean']),
      makeNode('Sub', ['added', 'mean'], ['out']),
      ...last,
    ],
    initializers: [
      ...weights,
      ['bias', randomWeight([8], 9)],
      ['scale', randomWeight([8], 10)],
      ['zero', int64(0)],
      ['two', int64(2)],
      ['minusOne', int64(-1)],
      ['heads', int64(2, 4)],
      ['flat', int64(0, 0, 8)],
      ['first', numbersWeight('int64', [], [0])],
      ['last', numbersWeight('int64', [], [-1])],
      ['some', int64(2, 0)],
    ],
  });
}

const pick = (which: string, output: string, axis = 1) =>
  makeNode('Gather', ['out', which], [output], { axis: int(axis) });

function dimsOf(model: Model, value: string) {
  return inferGraph(model.graph, opsetOf(model)).get(value)?.dims;
}

const feeds = { x: randomTensor([3, 5, 8], 20) };

async function sameAnswer(model: Model, changed: Model) {
  const [expected, actual] = [(await runModel(model, feeds))['y']!, (await runModel(changed, feeds))['y']!];
  expect(actual.dims).toEqual(expected.dims);
  const values = numbersOf(expected);
  const largest = Math.max(...values.map(Math.abs));
  // onnxruntime fuses the two graphs differently: a few units in the last place.
  numbersOf(actual).forEach((value, index) => expect(Math.abs(value - values[index]!)).toBeLessThan(1e-6 * largest));
}

describe('what only some places are read of', () => {
  test.each([
    ['the first token, its axis dropped', 'first', 1],
    ['the last token', 'last', 1],
    ['two tokens, out of order', 'some', 2],
  ])('is computed there alone: %s', async (_, which, places) => {
    const model = encoder(pick(which, 'y'));
    const narrow = narrowToRead(model, ['x']);
    for (const value of ['hidden', 'normed', 'probabilities', 'q']) expect(dimsOf(narrow, value)).toContain(places);
    // Keys and values are read at all places.
    expect(dimsOf(narrow, 'v')).toEqual(['batch', 'tokens', 8]);
    await sameAnswer(model, narrow);
  });

  test('stays whole where something else reads it all', async () => {
    const model = encoder(
      pick('first', 'token'),
      makeNode('ReduceMax', ['out'], ['most'], { keepdims: int(0) }),
      makeNode('Add', ['token', 'most'], ['y']),
    );
    const narrow = narrowToRead(model, ['x']);
    expect(dimsOf(narrow, 'hidden')).toEqual(dimsOf(model, 'hidden'));
    await sameAnswer(model, narrow);
  });

  test('stays whole where two readers want different places', async () => {
    const model = encoder(pick('first', 'a'), pick('last', 'b'), makeNode('Mul', ['a', 'b'], ['y']));
    const narrow = narrowToRead(model, ['x']);
    expect(dimsOf(narrow, 'hidden')).toEqual(dimsOf(model, 'hidden'));
    await sameAnswer(model, narrow);
  });

  test('stays whole from a kept value on up', async () => {
    const model = encoder(pick('first', 'y'));
    const narrow = narrowToRead(model, ['x', 'attended']);
    expect(dimsOf(narrow, 'hidden')).toEqual(['batch', 1, 8]);
    expect(dimsOf(narrow, 'attended')).toEqual(dimsOf(model, 'attended'));
    await sameAnswer(model, narrow);
  });

  test('stays whole along an axis that an operator mixes', async () => {
    const model = encoder(pick('first', 'y', 2));
    const narrow = narrowToRead(model, ['x']);
    expect(dimsOf(narrow, 'added')).toEqual(dimsOf(model, 'added'));
    await sameAnswer(model, narrow);
  });
});
