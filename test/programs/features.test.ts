/** What of a model's inputs can be scored. */
import { expect, test } from 'vitest';
import { int, numbersWeight } from '../../src/onnx/index.ts';
import { findFeatures } from '../../src/programs/index.ts';
import { makeModel, makeNode } from '../models.ts';

test('a table read for its shape only is not the embedding, though it comes first', () => {
  const model = makeModel({
    inputs: [{ name: 'ids', type: 'int64', dims: ['batch', 'sequence'] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      makeNode('Gather', ['table', 'ids'], ['left over'], { axis: int(0) }),
      makeNode('Shape', ['left over'], ['shape']),
      makeNode('Gather', ['table', 'ids'], ['embedding'], { axis: int(0) }),
      makeNode('Reshape', ['embedding', 'shape'], ['y']),
    ],
    initializers: [['table', numbersWeight('float32', [3, 2], [1, 2, 3, 4, 5, 6])]],
  });
  expect(findFeatures(model)).toEqual([{ input: 'ids', kind: 'tokens', value: 'embedding' }]);
});
