/** Linear models and support vectors of ai.onnx.ml: in primitives they give what the kernels give, and have gradients. */
import { expect, test } from 'vitest';
import { checkGradient } from '../../conformance/check-gradient.ts';
import { maxDifference, numbersOf } from '../../conformance/numbers.ts';
import { differentiate, gradientCoverage } from '../../src/autodiff/index.ts';
import type { Attribute, Model } from '../../src/onnx/index.ts';
import { int, ints, normalizeModel, string } from '../../src/onnx/index.ts';
import { randomTensor } from '../handmade.ts';
import { chance, makeModel, makeNode, runModel } from '../models.ts';

const floats = (...value: number[]): Attribute => ({ kind: 'floats', value });
const strings = (...value: string[]): Attribute => ({ kind: 'strings', value });

/** x [batch, 3] -> label, scores. */
function classifier(attributes: Readonly<Record<string, Attribute>>, operator = 'LinearClassifier'): Model {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 3] }],
    outputs: [
      { name: 'label', type: 'classlabels_strings' in attributes ? 'string' : 'int64', dims: ['batch'] },
      { name: 'scores', type: 'float32', dims: undefined },
    ],
    nodes: [makeNode(operator, ['x'], ['label', 'scores'], attributes, 'ai.onnx.ml')],
  });
  return { ...model, opsets: new Map([...model.opsets, ['ai.onnx.ml', 3]]) };
}

const three = { coefficients: floats(0.5, -1, 2, 0.3, 0.7, -0.2, -1, 1, 0.1), intercepts: floats(0.1, -0.2, 0.3) };
const one = { coefficients: floats(0.5, -1, 2), intercepts: floats(0.1) };
const CASES: readonly (readonly [string, Readonly<Record<string, Attribute>>])[] = [
  ['three classes', { ...three, classlabels_ints: ints([4, 5, 6]) }],
  ['named classes', { ...three, classlabels_strings: strings('a', 'b', 'c'), post_transform: string('SOFTMAX') }],
  ['classes apart', { ...three, classlabels_ints: ints([0, 1, 2]), post_transform: string('LOGISTIC') }],
  ['yes or no', { ...one, classlabels_ints: ints([0, 1]) }],
  ['yes or no, as probabilities', { ...one, classlabels_ints: ints([0, 1]), post_transform: string('LOGISTIC') }],
  [
    'classes some of which are zero',
    { ...three, classlabels_ints: ints([0, 1, 2]), post_transform: string('SOFTMAX_ZERO') },
  ],
];

/** Three support vectors of each of two or three classes, of three features. */
function supports(classes: 2 | 3, others: Readonly<Record<string, Attribute>> = {}): Record<string, Attribute> {
  const random = chance(classes);
  const list = (count: number) => Array.from({ length: count }, () => random());
  const pairs = (classes * (classes - 1)) / 2;
  return {
    kernel_type: string('RBF'),
    kernel_params: floats(0.4, 1.5, 3),
    support_vectors: floats(...list(3 * classes * 3)),
    coefficients: floats(...list(3 * classes * (classes - 1))),
    vectors_per_class: ints(Array<number>(classes).fill(3)),
    rho: floats(...list(pairs)),
    classlabels_ints: ints(Array.from({ length: classes }, (_, index) => index + 3)),
    ...others,
  };
}
const paired = (classes: 2 | 3) => {
  const pairs = (classes * (classes - 1)) / 2;
  return { prob_a: floats(...[-2.5, -1.5, -3].slice(0, pairs)), prob_b: floats(...[0.3, -0.2, 0.1].slice(0, pairs)) };
};
const SUPPORT_CASES: readonly (readonly [string, Readonly<Record<string, Attribute>>])[] = [
  ['two classes', supports(2)],
  ['two named classes', { ...supports(2), classlabels_ints: ints([]), classlabels_strings: strings('no', 'yes') }],
  ['two classes, through a logistic', supports(2, { post_transform: string('LOGISTIC') })],
  ['two classes, through what is no softmax', supports(2, { post_transform: string('SOFTMAX') })],
  ['three classes', supports(3)],
  ['three classes, through a softmax', supports(3, { post_transform: string('SOFTMAX') })],
  ...['LINEAR', 'POLY', 'SIGMOID'].map(
    (kernel) => [`three classes, of kernel ${kernel}`, supports(3, { kernel_type: string(kernel) })] as const,
  ),
  ['two classes, as probabilities', supports(2, paired(2))],
  ['three classes, as probabilities', supports(3, paired(3))],
  ['three classes, as probits of probabilities', supports(3, { ...paired(3), post_transform: string('PROBIT') })],
  [
    'three classes without support vectors',
    {
      coefficients: three.coefficients,
      rho: floats(0.2),
      kernel_type: string('LINEAR'),
      kernel_params: floats(0, 0, 0),
      classlabels_ints: ints([4, 5, 6]),
    },
  ],
  [
    'one class without support vectors',
    {
      coefficients: one.coefficients,
      rho: floats(0.2),
      kernel_type: string('LINEAR'),
      kernel_params: floats(0, 0, 0),
      classlabels_ints: ints([4]),
    },
  ],
];

test.each([
  ...CASES.map(([name, attributes]) => [`a linear classifier of ${name}`, 'LinearClassifier', attributes] as const),
  ...SUPPORT_CASES.map(([name, attributes]) => [`support vectors of ${name}`, 'SVMClassifier', attributes] as const),
])('%s: label and scores stay, and there is a gradient', async (_, operator, attributes) => {
  const original = classifier(attributes, operator);
  const model = normalizeModel(original);
  const x = randomTensor([4, 3], 3);
  const [expected, actual] = [await runModel(original, { x }), await runModel(model, { x })];
  expect(actual['label']).toEqual(expected['label']);
  expect(actual['scores']!.dims).toEqual(expected['scores']!.dims);
  expect(maxDifference(numbersOf(expected['scores']!), numbersOf(actual['scores']!))).toBeLessThan(1e-5);
  const scoresOnly = { ...model, graph: { ...model.graph, outputs: model.graph.outputs.slice(1) } };
  const found = await checkGradient({ name: 'c', model: scoresOnly, feeds: { x }, wrt: ['x'], outputs: ['scores'] });
  expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
  expect(gradientCoverage(model).missing).toEqual([]);
});

test('a transform that nobody knows is named, not taken for zero', () => {
  const model = classifier({ ...three, classlabels_ints: ints([0, 1, 2]), post_transform: string('SQUARE') });
  expect(() => differentiate(normalizeModel(model), { of: 'scores', wrt: ['x'] })).toThrow(
    'LinearClassifier "LinearClassifier_label": no gradient rule with post_transform SQUARE',
  );
});

test.each(['LINEAR', 'POLY', 'RBF', 'SIGMOID', undefined])(
  'a support vector regressor of kernel %s gives what the kernel gives',
  async (kernel) => {
    const supports = {
      kernel_type: string(kernel ?? ''),
      kernel_params: floats(0.4, 1.5, 3),
      support_vectors: floats(1, 0.5, -1, 0.3, 0.2, 0.8),
      coefficients: floats(0.7, -1.2),
      n_supports: int(2),
    };
    const linear = {
      kernel_type: string('LINEAR'),
      kernel_params: floats(0, 0, 0),
      coefficients: floats(0.7, -1.2, 0.4),
    };
    const original = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: ['batch', 3] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode('SVMRegressor', ['x'], ['y'], { ...(kernel ? supports : linear), rho: floats(0.1) }, 'ai.onnx.ml'),
      ],
    });
    const model = { ...original, opsets: new Map([...original.opsets, ['ai.onnx.ml', 1]]) };
    const x = randomTensor([4, 3], 5);
    const [expected, actual] = [await runModel(model, { x }), await runModel(normalizeModel(model), { x })];
    expect(actual['y']!.dims).toEqual(expected['y']!.dims);
    expect(maxDifference(numbersOf(expected['y']!), numbersOf(actual['y']!))).toBeLessThan(1e-5);
  },
);
