/** The gradient of what is picked as it is. */
import { expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { int, normalizeModel, numbersToData } from '../../src/onnx/index.ts';
import { makeModel, makeNode, numbersOf, runModel } from '../models.ts';

const x = { type: 'float32', dims: [5], data: numbersToData('float32', [3, 1, 3, 2, 1]) } as const;

test('the gradient of Unique goes to the first of equal elements', async () => {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [5] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [makeNode('Unique', ['x'], ['u'], { sorted: int(1) }), makeNode('Mul', ['u', 'u'], ['y'])],
  });
  const { model: program } = differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] });
  const results = await runModel(program, { x });
  expect(numbersOf(results['y']!)).toEqual([1, 4, 9]);
  expect(numbersOf(results['x_grad']!)).toEqual([6, 2, 0, 4, 0]);
});
