/**
 * Where hooks on modules are silently wrong a graph is not: it sees each use of a module as a node of its own.
 * captum#1082 and #1104: one ReLU or pool used twice; zennit#236: a residual sum written as a plain `+`.
 */
import { describe, expect, test } from 'vitest';
import type { GraphBuilder, Model, ValueName } from '../../src/onnx/index.ts';
import { buildModel, explainRow, withModel } from './graphs.ts';

const W1 = [0.6, -0.4, 0.9, 0.3, -0.7, 0.5, 0.2, -0.8, 0.4, 0.1, -0.6, 0.7, 0.8, -0.2, 0.3, 0.5];
const W2 = [-0.5, 0.7, 0.2, 0.9, 0.4, -0.3, 0.8, -0.1, 0.6, 0.5, -0.9, 0.3, 0.1, 0.8, 0.4, -0.6];
const X = [0.9, -0.5, 1.3, 0.7];
const FROM = [-0.2, 0.6, 0.1, -0.4];

const dense = (b: GraphBuilder, x: ValueName, w: readonly number[]) => b.matmul(x, b.constant('float32', [4, 4], w));
const relu = (b: GraphBuilder, x: ValueName, name: string) => {
  b.push({ name, operator: 'Relu', domain: '', inputs: [x], outputs: [`${name}:0`], attributes: {} });
  return `${name}:0`;
};

const twice: Model = buildModel(4, (b, x) => relu(b, dense(b, relu(b, dense(b, x, W1), 'relu'), W2), 'relu_1'));
const residual: Model = buildModel(4, (b, x) => {
  const hidden = relu(b, dense(b, x, W1), 'relu');
  return b.add(x, dense(b, hidden, W2));
});
const pooledTwice: Model = buildModel(4, (b, x) => {
  const pool = (value: ValueName, name: string) => {
    b.push({
      name,
      operator: 'MaxPool',
      domain: '',
      inputs: [value],
      outputs: [`${name}:0`],
      attributes: { kernel_shape: { kind: 'ints', value: [2] }, strides: { kind: 'ints', value: [1] } },
    });
    return `${name}:0`;
  };
  const signal = b.unsqueeze(dense(b, x, W1), [1]);
  return b.squeeze(pool(pool(signal, 'pool'), 'pool_1'), [1]);
});

describe.each([
  ['one ReLU used twice (captum#1082)', twice],
  ['a residual sum written as a plain + (zennit#236)', residual],
  ['one max-pool used twice (captum#1104)', pooledTwice],
])('%s', (_name, model) => {
  test.each(['deep-lift', 'deep-lift-reveal-cancel', 'deep-lift-shap'])('%s is complete', async (method) => {
    await withModel(model, async (host) => {
      const { explanation } = await explainRow(host, method, X, { from: FROM });
      expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(1e-5);
    });
  });

  test('lrp-0 hands the whole answer back, once', async () => {
    await withModel(model, async (host) => {
      const { explanation } = await explainRow(host, 'lrp-0', X);
      expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(1e-4);
    });
  });
});

test('guided backpropagation filters at both uses of a ReLU', async () => {
  await withModel(twice, async (host) => {
    const { scores } = await explainRow(host, 'guided-backprop', X);
    const forward = (x: readonly number[], w: readonly number[]) =>
      [0, 1, 2, 3].map((column) => x.reduce((sum, each, at) => sum + each * w[4 * at + column]!, 0));
    const z1 = forward(X, W1);
    const z2 = forward(
      z1.map((z) => Math.max(0, z)),
      W2,
    );
    const g1 = [0, 1, 2, 3].map((at) => (z2[0]! > 0 && z1[at]! > 0 ? Math.max(0, W2[4 * at]!) : 0));
    const expected = [0, 1, 2, 3].map((at) => g1.reduce((sum, g, column) => sum + g * W1[4 * at + column]!, 0));
    scores.forEach((score, at) => expect(score).toBeCloseTo(expected[at]!, 5));
  });
});

test('RevealCancel sees both inputs of a minimum, where Rescale sees one', async () => {
  // min(a, b) = a - relu(a - b), the example of the paper.
  const model = buildModel(2, (b, x) => {
    const difference = b.matmul(x, b.constant('float32', [2, 1], [1, -1]));
    return b.sub(b.matmul(x, b.constant('float32', [2, 1], [1, 0])), relu(b, difference, 'relu'));
  });
  await withModel(model, async (host) => {
    const [a, c] = [3, 1];
    expect((await explainRow(host, 'deep-lift', [a, c])).scores).toEqual([expect.closeTo(0, 5), expect.closeTo(1, 5)]);
    expect((await explainRow(host, 'deep-lift-reveal-cancel', [a, c])).scores).toEqual([
      expect.closeTo(0.5, 5),
      expect.closeTo(0.5, 5),
    ]);
  });
});
