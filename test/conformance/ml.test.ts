/** Linear models and support vectors of ai.onnx.ml: in primitives they give what the kernels give, and have gradients. */
import { expect, test } from 'vitest';
import { checkGradient } from '../../conformance/check-gradient.ts';
import { maxDifference, numbersOf } from '../../conformance/numbers.ts';
import { differentiate, gradientCoverage } from '../../src/autodiff/index.ts';
import type { Attribute, Model } from '../../src/onnx/index.ts';
import { int, ints, normalizeModel, string } from '../../src/onnx/index.ts';
import { randomTensor } from '../handmade.ts';
import { makeModel, makeNode, runModel } from '../models.ts';

const floats = (...value: number[]): Attribute => ({ kind: 'floats', value });
const strings = (...value: string[]): Attribute => ({ kind: 'strings', value });

/** x [batch, 3] -> label, scores. */
function classifier(attributes: Readonly<Record<string, Attribute>>): Model {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 3] }],
    outputs: [
      { name: 'label', type: 'classlabels_strings' in attributes ? 'string' : 'int64', dims: ['batch'] },
      { name: 'scores', type: 'float32', dims: undefined },
    ],
    nodes: [makeNode('LinearClassifier', ['x'], ['label', 'scores'], attributes, 'ai.onnx.ml')],
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
];

test.each(CASES)(
  'a linear classifier of %s keeps its label and scores, and has its gradient',
  async (_, attributes) => {
    const original = classifier(attributes);
    const model = normalizeModel(original);
    const x = randomTensor([4, 3], 3);
    const [expected, actual] = [await runModel(original, { x }), await runModel(model, { x })];
    expect(actual['label']).toEqual(expected['label']);
    expect(actual['scores']!.dims).toEqual(expected['scores']!.dims);
    expect(maxDifference(numbersOf(expected['scores']!), numbersOf(actual['scores']!))).toBeLessThan(1e-5);
    const scoresOnly = { ...model, graph: { ...model.graph, outputs: model.graph.outputs.slice(1) } };
    const found = await checkGradient({ name: 'c', model: scoresOnly, feeds: { x }, wrt: ['x'], outputs: ['scores'] });
    expect(found).toMatchObject({ first: { status: 'verified' } });
    expect(gradientCoverage(model).missing).toEqual([]);
  },
);

test('a transform without a gradient is named, not taken for zero', () => {
  const model = classifier({ ...three, classlabels_ints: ints([0, 1, 2]), post_transform: string('SOFTMAX_ZERO') });
  expect(() => differentiate(normalizeModel(model), { of: 'scores', wrt: ['x'] })).toThrow(
    'LinearClassifier "LinearClassifier_label": no gradient rule with post_transform SOFTMAX_ZERO',
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
