/** What the gradient is where the derivative does not exist, or is easily spoilt by an infinity. As PyTorch has it. */
import { expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import type { Node } from '../../src/onnx/index.ts';
import { float, int, ints, normalizeModel, numbersToData, numbersWeight, string } from '../../src/onnx/index.ts';
import { makeModel, makeNode, numbersOf, runModel } from '../models.ts';
import type { Case } from './case.ts';
import { caseModel, i, k, one, typed, variables, x } from './case.ts';

const at = (values: number[], dims = [values.length]) => x(dims, { values });

const KINKS: [string, Case, number[][]][] = [
  ['Relu is flat at 0', one('Relu', '', [at([-1, 0, 1])]), [[0, 0, 1]]],
  ['LeakyRelu takes its lower slope at 0', one('LeakyRelu', '', [at([0])], { alpha: float(0.25) }), [[0.25]]],
  ['Elu takes its lower branch at 0', one('Elu', '', [at([0])], { alpha: float(0.5) }), [[0.5]]],
  ['ThresholdedRelu is flat at its threshold', one('ThresholdedRelu', '', [at([1, 1.5])]), [[0, 1]]],
  ['HardSigmoid is flat at both ends', one('HardSigmoid', '', [at([-1, 0, 1])], { alpha: float(0.5) }), [[0, 0.5, 0]]],
  ['HardSwish is flat up to -3, and the identity from 3 on', one('HardSwish', '', [at([-3, 3])]), [[0, 1]]],
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
  [
    'what is rounded to whole numbers has no slope',
    one('CastLike', '', [at([0.5, 1.5]), i(0)], {}, { cast: true }),
    [[0, 0]],
  ],
  ['LpNormalization is flat at the origin', one('LpNormalization', '', [at([0, 0], [1, 2])]), [[0, 0]]],
  ['LpNormalization by sums too', one('LpNormalization', '', [at([0, 0], [1, 2])], { p: int(1) }), [[0, 0]]],
  [
    'Clip between bounds the wrong way round is its upper bound',
    one('Clip', '', [at([-1, 0, 2]), at([1], []), at([-0.5], [])]),
    [[0, 0, 0], [0], [3]],
  ],
  [
    'a scattered product sees the others through one zero',
    one('ScatterElements', '', [at([2, 5, 7]), i([0, 0, 1, 2, 2]), at([0, 3, 4, 0, 0])], { reduction: string('mul') }),
    [
      [0, 4, 0],
      [6, 0, 5, 0, 0],
    ],
  ],
  [
    'a running product sees the others through its first zero',
    one('CumProd', '', [at([2, 0, 3, 0, 5]), i(0)], {}, { opset: 26 }),
    [[1, 8, 0, 0, 0]],
  ],
  [
    'a running product from the end sees the others through the zero it meets first',
    one('CumProd', '', [at([2, 0, 3]), i(0)], { reverse: int(1) }, { opset: 26 }),
    [[0, 9, 1]],
  ],
  [
    'a running product of what stands before leaves the last out',
    one('CumProd', '', [at([2, 0, 3]), i(0)], { exclusive: int(1) }, { opset: 26 }),
    [[1, 2, 0]],
  ],
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

/** The gradient of the sum of what the nodes make of x, of its gradient's sum when `order` is 2. */
async function slopes(nodes: readonly Node[], values: number[], dims = [values.length], order: 1 | 2 = 1) {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes,
    initializers: [
      ['zero', numbersWeight('float32', [], [0])],
      ['half', numbersWeight('float32', [], [0.5])],
    ],
  });
  const once = differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] });
  const last = order === 1 ? once : differentiate(once.model, { of: once.gradients.get('x')!, wrt: ['x'] });
  const x = { type: 'float32', dims, data: Float32Array.from(values) } as const;
  return numbersOf((await runModel(last.model, { x }))[last.gradients.get('x')!]!);
}

test.each([
  ['Sqrt', [makeNode('Sqrt', ['c'], ['y'])]],
  ['Log', [makeNode('Log', ['c'], ['y'])]],
  ['Pow', [makeNode('Pow', ['c', 'half'], ['y'])]],
])('behind a clamp %s is flat where the clamp is, twice over', async (operator, nodes) => {
  const [first, second] = operator === 'Log' ? [0.25, -1 / 16] : [0.25, -1 / 32];
  for (const clamp of [makeNode('Relu', ['x'], ['c']), makeNode('Clip', ['x', 'zero'], ['c'])]) {
    expect(await slopes([clamp, ...nodes], [-1, 4])).toEqual([0, first]);
    expect(await slopes([clamp, ...nodes], [-1, 4], [2], 2)).toEqual([0, second]);
  }
});

/** Selections, at which the second element is not selected, and how much of the first one's gradient passes. */
const CLOSED: [string, Case, number][] = [
  ['Relu', one('Relu', '', [at([1, -1])]), 1],
  ['ThresholdedRelu', one('ThresholdedRelu', '', [at([2, 0.5])]), 1],
  ['HardSigmoid', one('HardSigmoid', '', [at([0, -9])], { alpha: float(0.5) }), 0.5],
  ['HardSwish', one('HardSwish', '', [at([4, -4])]), 1],
  ['Shrink', one('Shrink', '', [at([1, 0])]), 1],
  ['Clip', one('Clip', '', [at([0, 2]), k(-1), k(1)]), 1],
  ['Max', one('Max', '', [at([2, 0]), k([1, 1])]), 1],
  ['Min', one('Min', '', [at([0, 2]), k([1, 1])]), 1],
  ['Where', one('Where', '', [typed('bool', [2], [1, 0]), at([0, 0]), k([1, 1])]), 1],
];

test.each(CLOSED)('%s stops an infinity, or what is no number, where it passes nothing on', async (_, c, slope) => {
  const { model, gradients } = differentiate(caseModel(c, 'float64', 'static'), {
    of: 'y',
    wrt: [variables(c)[0]!],
    seed: { input: 'seed' },
  });
  for (const spoilt of [Infinity, Number.NaN]) {
    const seed = { type: 'float64', dims: [2], data: Float64Array.of(1, spoilt) } as const;
    const results = await runModel(model, { ...feedsOf(c, variables(c)), seed });
    expect(numbersOf([...gradients.values()].map((name) => results[name]!)[0]!)).toEqual([slope, 0]);
  }
});

test('an infinity that one extreme gets does not reach the others', async () => {
  const of = async (c: Case, dims: number[]) => {
    const { model, gradients } = differentiate(caseModel(c, 'float64', 'static'), {
      of: 'y',
      wrt: ['x0'],
      seed: { input: 'seed' },
    });
    const seed = { type: 'float64', dims, data: Float64Array.of(Infinity) } as const;
    return numbersOf((await runModel(model, { ...feedsOf(c, ['x0']), seed }))[gradients.get('x0')!]!);
  };
  expect(await of(one('ReduceMax', '', [at([2, 1])], { keepdims: int(0) }), [])).toEqual([Infinity, 0]);
  expect(await of(one('ReduceMin', '', [at([2, 1])], { keepdims: int(0) }), [])).toEqual([0, Infinity]);
});

test('elsewhere a root has the infinite slope at 0 that it has', async () => {
  expect(await slopes([makeNode('Sqrt', ['x'], ['y'])], [0, 4])).toEqual([Infinity, 0.25]);
});

test('pools by norms are flat where all they see is 0', async () => {
  const pool = makeNode('LpPool', ['x'], ['y'], { kernel_shape: ints([2]), strides: ints([2]) });
  const found = await slopes([pool], [0, 0, 3, 4], [1, 1, 4]);
  [0, 0, 0.6, 0.8].forEach((slope, at) => expect(found[at]).toBeCloseTo(slope, 6));
  const global = makeNode('GlobalLpPool', ['x'], ['y'], { p: int(3) });
  expect(await slopes([global], [0, 0], [1, 1, 2])).toEqual([0, 0]);
});

test('a row of zeros that is normalised stays one, and has a finite slope', async () => {
  for (const norm of ['L2', 'L1', 'MAX']) {
    const normalizer = makeNode('Normalizer', ['x'], ['y'], { norm: string(norm) }, 'ai.onnx.ml');
    expect(await slopes([normalizer], [0, 0], [1, 2])).toEqual([1, 1]);
  }
});

test.each(['Elu', 'Celu', 'Selu'])('where %s is a line it has no curvature, however far out', async (operator) => {
  // The other branch is infinite there, and 0 times that is not a number.
  expect(await slopes([makeNode(operator, ['x'], ['y'])], [1, 100, 1000], [3], 2)).toEqual([0, 0, 0]);
});

test('dropout that is told to train passes the gradient on where it passed the value on', async () => {
  const nodes = [makeNode('Dropout', ['x', 'half', 'on'], ['y'], { seed: int(1) })];
  const values = Array.from({ length: 64 }, () => 1);
  for (const [type, on] of [
    ['bool', 1],
    ['bool', 0],
  ] as const) {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [64] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes,
      initializers: [
        ['half', numbersWeight('float32', [], [0.25])],
        ['on', numbersWeight(type, [], [on])],
      ],
    });
    for (const opset of [13, 18]) {
      const old = { ...model, opsets: new Map([['', opset]]) };
      const { model: program, gradients } = differentiate(normalizeModel(old), { of: 'y', wrt: ['x'] });
      const x = { type: 'float32', dims: [64], data: Float32Array.from(values) } as const;
      const results = await runModel(program, { x });
      // Of ones the value passed on is the slope.
      expect(numbersOf(results[gradients.get('x')!]!)).toEqual(numbersOf(results['y']!));
      expect(new Set(numbersOf(results['y']!))).toEqual(
        new Set(on ? [0, numbersOf(results['y']!).find(Boolean)] : [1]),
      );
    }
  }
});

function feedsOf(c: Case, wrt: readonly string[]) {
  return Object.fromEntries(
    wrt.map((name) => {
      const input = c.inputs[Number(name.slice(1))]!;
      return [name, { type: 'float64', dims: input.dims, data: numbersToData('float64', input.values!) } as const];
    }),
  );
}
