/** A transformer made by hand, of one layer of one head without an MLP, about which everything is known. */
import type { Model } from '../../src/onnx/index.ts';
import type { DataType } from '../../src/onnx/index.ts';
import { int, ints, numbersWeight } from '../../src/onnx/index.ts';
import { makeModel, makeNode } from '../models.ts';

/** Words and what they are worth to the answer. */
export const WORTH = [0, 1, -2, 3, 0.5] as const;

/**
 * ids [batch, sequence] -> logits [batch, 2]: position 0 attends to all positions with scores that are the `scores` of
 * their words, reads the worth of each word, and the answer is [0, 5 x attended worth]. The stream's dimensions: 1 = a
 * constant, 2 = score, 3 = worth, 4 = what attention writes.
 */
export function attentive(
  scores: readonly number[],
  worth: readonly number[] = WORTH,
  type: DataType = 'float32',
): Model {
  const matrix = (rows: readonly (readonly number[])[]) =>
    numbersWeight(type, [rows.length, rows[0]!.length], rows.flat());
  const table = scores.map((score, word) => [1, score, worth[word]!, 0]);
  const zero4 = [0, 0, 0, 0];
  return makeModel({
    inputs: [{ name: 'input_ids', type: 'int64', dims: ['batch', 'sequence'] }],
    outputs: [{ name: 'logits', type, dims: ['batch', 2] }],
    nodes: [
      makeNode('Gather', ['table', 'input_ids'], ['x']),
      // The query is the constant, the key the score: their product is the score, without scaling.
      makeNode('MatMul', ['x', 'wq'], ['q0']),
      makeNode('MatMul', ['x', 'wk'], ['k0']),
      makeNode('MatMul', ['x', 'wv'], ['v0']),
      makeNode('Reshape', ['q0', 'split'], ['q1']),
      makeNode('Reshape', ['k0', 'split'], ['k1']),
      makeNode('Reshape', ['v0', 'split'], ['v1']),
      makeNode('Transpose', ['q1'], ['q'], { perm: ints([0, 2, 1, 3]) }),
      makeNode('Transpose', ['k1'], ['k'], { perm: ints([0, 2, 3, 1]) }),
      makeNode('Transpose', ['v1'], ['v'], { perm: ints([0, 2, 1, 3]) }),
      makeNode('MatMul', ['q', 'k'], ['s']),
      makeNode('Softmax', ['s'], ['a'], { axis: int(-1) }),
      makeNode('MatMul', ['a', 'v'], ['c']),
      makeNode('Transpose', ['c'], ['c1'], { perm: ints([0, 2, 1, 3]) }),
      makeNode('Reshape', ['c1', 'join'], ['c2']),
      makeNode('MatMul', ['c2', 'wo'], ['o']),
      makeNode('Add', ['x', 'o'], ['y']),
      makeNode('Gather', ['y', 'first'], ['y0'], { axis: int(1) }),
      makeNode('MatMul', ['y0', 'head'], ['logits']),
    ],
    initializers: [
      ['table', matrix(table)],
      ['wq', matrix([[1], [0], [0], [0]])],
      ['wk', matrix([[0], [1], [0], [0]])],
      ['wv', matrix([[0], [0], [1], [0]])],
      ['wo', matrix([[0, 0, 0, 1]])],
      ['split', numbersWeight('int64', [4], [0, 0, 1, 1])],
      ['join', numbersWeight('int64', [3], [0, 0, 1])],
      ['first', numbersWeight('int64', [], [0])],
      ['head', matrix([zero4.slice(0, 2), [0, 0], [0, 0], [0, 5]])],
    ],
  });
}
