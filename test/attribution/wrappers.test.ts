import { afterAll, beforeAll, expect, test } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import { buildModel, explainRow, withModel } from './graphs.ts';
import { fixtures, openFixture } from './references.ts';

const mlp = fixtures().find(({ name }) => name === 'mlp')!;
let host: ModelHost;
beforeAll(async () => {
  host = await openFixture(mlp);
});
afterAll(() => host.release());

const tensor = (values: readonly number[]) =>
  ({ type: 'float32', dims: [values.length / 6, 6], data: numbersToData('float32', values) }) as const;
const explain = async (request: Partial<AttributeRequest>) =>
  (await attribute(host, { inputs: { x: tensor(mlp.data) }, target: { label: '1', indices: [1] }, ...request }))
    .explanation;
const scores = async (request: Partial<AttributeRequest>) =>
  Array.from((await explain(request)).attributions['x']!.data);

test('smooth-grad with hardly any noise is the method it wraps', async () => {
  const plain = await scores({ method: 'saliency' });
  const smooth = await scores({ method: 'smooth-grad', options: { stdevs: 1e-6, nt_samples: 4 } });
  smooth.forEach((score, index) => expect(score).toBeCloseTo(plain[index]!, 5));
});

test('the mean square is the squared mean plus the variance', async () => {
  const options = { of: 'input-x-gradient', nt_samples: 40 };
  const [mean, square, variance] = await Promise.all(
    ['smooth-grad', 'smooth-grad-squared', 'var-grad'].map((method) => scores({ method, options, seed: 3 })),
  );
  square!.forEach((each, index) => expect(each).toBeCloseTo(mean![index]! ** 2 + variance![index]!, 5));
  expect(Math.max(...variance!)).toBeGreaterThan(0);
});

test('the same seed gives the same noise, another seed another', async () => {
  const options = { nt_samples: 5 };
  const first = await scores({ method: 'smooth-grad', options, seed: 1 });
  expect(await scores({ method: 'smooth-grad', options, seed: 1 })).toEqual(first);
  expect(await scores({ method: 'smooth-grad', options, seed: 2 })).not.toEqual(first);
});

test('noise can be put on any method of a single backward pass, and on no other', async () => {
  expect(await scores({ method: 'smooth-grad', options: { of: 'lrp-epsilon', nt_samples: 3 } })).toHaveLength(6);
  await expect(scores({ method: 'smooth-grad', options: { of: 'integrated-gradients' } })).rejects.toThrow(
    'single backward pass',
  );
  await expect(scores({ method: 'var-grad', options: { of: 'nothing' } })).rejects.toThrow('unknown method "nothing"');
});

test('expected gradients over several baselines come close to the mean of integrated gradients over each', async () => {
  const rows = Array.from({ length: 4 }, (_, row) => mlp.baselines!.slice(6 * row, 6 * row + 6));
  const each = await Promise.all(
    rows.map((row) =>
      scores({ method: 'integrated-gradients', options: { steps: 300 }, baseline: { x: tensor(row) } }),
    ),
  );
  const explanation = await explain({
    method: 'gradient-shap',
    options: { n_samples: 1200 },
    baseline: { x: tensor(mlp.baselines!) },
  });
  explanation.attributions['x']!.data.forEach((score, index) =>
    expect(Math.abs(score - each.reduce((sum, list) => sum + list[index]! / 4, 0))).toBeLessThan(5e-3),
  );
  expect(explanation.method).toBe('expected-gradients');
  expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(0.01);
});

test('idgi adds up to the change of the answer however few steps there are', async () => {
  for (const n_steps of [1, 7, 50]) {
    const { convergenceDelta } = await explain({ method: 'idgi', options: { n_steps } });
    expect(Math.abs(convergenceDelta!)).toBeLessThan(1e-5);
  }
});

test('layer conductance of a layer all paths lead through adds up, more closely with more steps', async () => {
  const gap = async (steps: number) =>
    Math.abs(
      (await explain({ method: 'layer-conductance', layer: 'layers.layers.2.Gemm', options: { steps } }))
        .convergenceDelta!,
    );
  expect(await gap(400)).toBeLessThan(2e-3);
});

test.each([
  [{ method: 'layer-conductance' }, 'needs a layer: --layer PATH'],
  [{ method: 'neuron-conductance', layer: 'layers.layers.0.Gemm' }, 'needs a place in the layer'],
  [{ method: 'internal-influence', layer: 'layers.layers.0.Gemm', neuron: [1] }, 'leave --neuron out'],
  [{ method: 'smooth-grad', layer: 'layers.layers.0.Gemm' }, 'does not work at a layer'],
  [{ method: 'neuron-conductance', layer: 'layers.layers.0.Gemm', neuron: [99] }, 'neuron 99 is not in layer'],
  [{ method: 'neuron-conductance', layer: 'layers.layers.0.Gemm', neuron: [-1] }, 'neuron -1 is not in layer'],
  [{ method: 'neuron-conductance', layer: 'layers.layers.0.Gemm', neuron: [0.5] }, 'neuron 0.5 is not in layer'],
  [{ method: 'cp-lrp' }, 'cp-lrp does not apply: there is no softmax on the way to'],
  [{ method: 'saliency', layer: 'layers.layers.0.Gem' }, 'did you mean "layers.layers.0.Gemm"?'],
  [{ method: 'saliency', neuron: [1] }, '--neuron needs --layer'],
  [{ method: 'lrp-gamma', options: { gamma: -1 } }, 'must be a number above 0'],
  [{ method: 'idgi', options: { n_steps: 0 } }, 'must be a whole number of at least 1'],
])('%o is refused: %s', async (request, message) => {
  await expect(explain(request)).rejects.toThrow(message);
});

test('several baselines for a method that compares with one are refused', async () => {
  await expect(explain({ method: 'deep-lift', baseline: { x: tensor(mlp.baselines!) } })).rejects.toThrow(
    'has 4 rows, but deep-lift compares with one',
  );
});

test('options name a baseline only where one was compared with, and say how much noise there was', async () => {
  const model = buildModel(2, (b, x) => b.matmul(x, b.constant('float32', [2, 1], [1, 2])));
  await withModel(model, async (host) => {
    const { explanation: plain } = await explainRow(host, 'smooth-grad', [1, 2], { from: [0, 1] });
    expect(plain.options).not.toHaveProperty('baseline');
    expect(plain.options).toMatchObject({ of: 'saliency', relativeStdevs: 0.15 });
    const { explanation } = await explainRow(host, 'smooth-grad', [1, 2], {
      from: [0, 1],
      options: { of: 'deep-lift' },
    });
    expect(explanation.options).toMatchObject({ of: 'deep-lift', baseline: 'given' });
  });
});

test('scores that are all zero are warned of', async () => {
  const saturated = buildModel(2, (b, x) =>
    b.sigmoid(b.add(b.matmul(x, b.constant('float32', [2, 1], [1, 2])), b.constant('float32', [1], [200]))),
  );
  await withModel(saturated, async (host) => {
    const { explanation } = await explainRow(host, 'saliency', [1, 2]);
    expect(explanation.warnings).toEqual([expect.stringContaining('all scores are zero')]);
  });
});

test.each(['guided-backprop', 'deconvnet'])('%s is refused where there is no ReLU to change', async (method) => {
  const smooth = buildModel(2, (b, x) => b.op('Tanh', [b.matmul(x, b.constant('float32', [2, 2], [1, 2, 3, 4]))]));
  await withModel(smooth, async (host) => {
    await expect(explainRow(host, method, [1, 2])).rejects.toThrow(
      `${method} does not apply: there is no ReLU on the way to "y", so it would be no other than saliency with signed=true`,
    );
  });
});
