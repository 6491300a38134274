/** What the gradient is where the derivative does not exist, or is easily spoilt by an infinity. As PyTorch has it. */
import { expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { float, int, ints, numbersToData } from '../../src/onnx/index.ts';
import { numbersOf, runModel } from '../models.ts';
import type { Case } from './case.ts';
import { caseModel, i, k, one, x } from './case.ts';

const at = (values: number[], dims = [values.length]) => x(dims, { values });

const KINKS: [string, Case, number[][]][] = [
  ['Relu is flat at 0', one('Relu', '', [at([-1, 0, 1])]), [[0, 0, 1]]],
  ['LeakyRelu takes its lower slope at 0', one('LeakyRelu', '', [at([0])], { alpha: float(0.25) }), [[0.25]]],
  ['Elu takes its lower branch at 0', one('Elu', '', [at([0])], { alpha: float(0.5) }), [[0.5]]],
  ['ThresholdedRelu is flat at its threshold', one('ThresholdedRelu', '', [at([1, 1.5])]), [[0, 1]]],
  ['HardSigmoid is flat at both ends', one('HardSigmoid', '', [at([-1, 0, 1])], { alpha: float(0.5) }), [[0, 0.5, 0]]],
  ['Abs has slope 0 at 0', one('Abs', '', [at([-1, 0, 1])]), [[-1, 0, 1]]],
  [
    'Clip passes the gradient on at both of its bounds',
    one('Clip', '', [at([-2, -1, 0, 1, 2]), k(-1), k(1)]),
    [[0, 1, 1, 1, 0]],
  ],
  [
    'Max shares ties equally',
    one('Max', '', [at([1, 2]), at([1, 0])]),
    [
      [0.5, 1],
      [0.5, 0],
    ],
  ],
  ['Min shares ties of three equally', one('Min', '', [at([3]), at([3]), at([3])]), [[1 / 3], [1 / 3], [1 / 3]]],
  ['ReduceMax shares ties equally', one('ReduceMax', '', [at([2, 1, 2])], { keepdims: int(0) }), [[0.5, 0, 0.5]]],
  ['ReduceMin shares ties equally', one('ReduceMin', '', [at([1, 1, 2])], { keepdims: int(0) }), [[0.5, 0.5, 0]]],
  [
    'MaxPool gives a tie to the first',
    one('MaxPool', '', [at([1, 1, 0, 0], [1, 1, 4])], { kernel_shape: ints([2]), strides: ints([2]) }),
    [[1, 0, 1, 0]],
  ],
  ['ReduceL2 is flat at the origin', one('ReduceL2', '', [at([0, 0])], { keepdims: int(0) }), [[0, 0]]],
  ['a power of 0 is flat at 0', one('Pow', '', [at([0, 2]), k(0)]), [[0, 0]]],
  ['a square is flat at 0', one('Pow', '', [at([0, 3]), k(2)]), [[0, 6]]],
  ['a power of 1 has slope 1 at 0', one('Pow', '', [at([0]), k([1])]), [[1]]],
  [
    'the exponent of 0 gets no gradient',
    one('Pow', '', [at([0, 1]), at([2, 2])]),
    [
      [0, 2],
      [0, 0],
    ],
  ],
  [
    'ReduceProd sees the others through one zero',
    one('ReduceProd', '', [at([0, 2, 3])], { keepdims: int(0) }),
    [[6, 0, 0]],
  ],
  ['ReduceProd is flat at two zeros', one('ReduceProd', '', [at([0, 0, 3])], { keepdims: int(0) }), [[0, 0, 0]]],
  ['repeated picks add up', one('Gather', '', [at([1, 2]), i([1, 1, 1])]), [[0, 3]]],
];

test.each(KINKS)('%s', async (_, c, expected) => {
  const wrt = c.inputs.flatMap((input, index) => (input?.role === 'variable' ? [`x${index}`] : []));
  const { model, gradients } = differentiate(caseModel(c, 'float64', 'static'), { of: 'y', wrt });
  const results = await runModel(model, feedsOf(c, wrt));
  wrt.forEach((name, index) => {
    const gradient = numbersOf(results[gradients.get(name)!]!);
    gradient.forEach((value, element) => expect(value).toBeCloseTo(expected[index]![element]!, 12));
  });
});

test('a softmax that masks with minus infinity has finite gradients', async () => {
  const c = one('Softmax', '', [at([0.5, Number.NEGATIVE_INFINITY, 1], [1, 3])]);
  const { model, gradients } = differentiate(caseModel(c, 'float64', 'static'), {
    of: 'y',
    wrt: ['x0'],
    seed: { input: 'seed' },
  });
  const seed = { type: 'float64', dims: [1, 3], data: Float64Array.of(1, 0, 0) } as const;
  const gradient = numbersOf((await runModel(model, { ...feedsOf(c, ['x0']), seed }))[gradients.get('x0')!]!);
  expect(gradient.every(Number.isFinite)).toBe(true);
  expect(gradient[1]).toBe(0);
});

function feedsOf(c: Case, wrt: readonly string[]) {
  return Object.fromEntries(
    wrt.map((name) => {
      const input = c.inputs[Number(name.slice(1))]!;
      return [name, { type: 'float64', dims: input.dims, data: numbersToData('float64', input.values!) } as const];
    }),
  );
}
