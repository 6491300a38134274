import { afterAll, beforeAll, expect, test } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import { SURROGATES } from '../../src/surrogates/index.ts';
import { solve } from '../../src/surrogates/linear.ts';
import { Moments, fitLinear } from '../../src/surrogates/regression.ts';
import { fixtures, openFixture } from '../attribution/references.ts';

const cnn = fixtures().find(({ name }) => name === 'cnn')!;
let host: ModelHost;
beforeAll(async () => {
  host = await openFixture(cnn);
});
afterAll(() => host.release());

async function explain(name: string, request: Partial<AttributeRequest> = {}) {
  const x = { type: 'float32', dims: cnn.dims, data: numbersToData('float32', cnn.data) } as const;
  const { explanation } = await attribute(host, {
    inputs: { x },
    target: { label: '1', indices: [1] },
    modality: { kind: 'image', input: 'x', layout: 'NCHW' },
    method: SURROGATES.find((method) => method.name === name)!,
    ...request,
  });
  return explanation;
}
const exact = async () =>
  Array.from(
    (
      await attribute(host, {
        inputs: { x: { type: 'float32', dims: cnn.dims, data: numbersToData('float32', cnn.data) } },
        target: { label: '1', indices: [1] },
        modality: { kind: 'image', input: 'x', layout: 'NCHW' },
        method: 'exact-shapley',
        options: { regions: 4 },
      })
    ).explanation.attributions['x']!.data,
  );

test.each([
  ['kernel-shap', { regions: 4, n_samples: 4000, tolerance: 1e-9 }],
  ['permutation-shap', { regions: 4, n_permutations: 300 }],
])('%s, sampled, comes close to the exact Shapley values and adds up', async (name, options) => {
  const explanation = await explain(name, { options });
  const truth = await exact();
  const size = Math.hypot(...truth);
  const error = Math.hypot(...truth.map((score, index) => score - explanation.attributions['x']!.data[index]!));
  expect(explanation.options['exact']).toBe(false);
  expect(error / size).toBeLessThan(0.1);
  expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(1e-4);
});

test('kernel-shap stops once its intervals are narrow, and says how wide they are', async () => {
  const options = { regions: 4, n_samples: 20_000, tolerance: 0.2 };
  const explanation = await explain('kernel-shap', { options });
  expect(Number(explanation.options['samples'])).toBeLessThan(5000);
  expect(Number(explanation.options['interval'])).toBeGreaterThan(0);
});

test('permutation-shap runs every coalition when that is no more work, and is exact then', async () => {
  const options = { regions: 2 };
  const explanation = await explain('permutation-shap', { options });
  expect(explanation.options['exact']).toBe(true);
  expect(explanation.runtime.passes).toBeLessThanOrEqual(17);
});

test('partition-shap adds up whether or not it can open every cluster', async () => {
  for (const max_evals of [10, 100, 2000]) {
    const { convergenceDelta, options } = await explain('partition-shap', { options: { regions: 4, max_evals } });
    expect(Math.abs(convergenceDelta!)).toBeLessThan(1e-4);
    expect(Number(options['evaluations'])).toBeLessThanOrEqual(max_evals);
    expect(options['exact']).toBe(max_evals === 2000);
  }
});

test('lime reports how well it fits and how stable it is, and warns when it should not be trusted', async () => {
  const few = await explain('lime', { options: { regions: 8, n_samples: 80 } });
  expect(Number(few.options['stability'])).toBeLessThan(0.8);
  expect(few.warnings.join()).toContain('fits on other samples agree only to');
  const all = await explain('lime', { options: { regions: 2 } });
  expect(all.options['stability']).toBe(1);
  expect(Number(all.options['r2'])).toBeGreaterThan(0);
});

test('the same seed gives the same scores, another seed others', async () => {
  const options = { regions: 8, n_samples: 100 };
  const first = await explain('lime', { options, seed: 5 });
  expect((await explain('lime', { options, seed: 5 })).attributions).toEqual(first.attributions);
  expect((await explain('lime', { options, seed: 6 })).attributions).not.toEqual(first.attributions);
});

test('a lasso with a large penalty keeps no part', async () => {
  const { attributions } = await explain('lime', { options: { regions: 2, model: 'lasso', alpha: 1e6 } });
  expect(new Set(attributions['x']!.data)).toEqual(new Set([0]));
});

test('a linear answer is fitted exactly, and r2 says so', () => {
  const rows = [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ];
  const answers = rows.map(([a, b]) => 3 + 2 * a! - b!);
  // In two parts that are joined, each with its own first answer.
  const [one, other] = [new Moments(2), new Moments(2)];
  rows.forEach((row, at) => (at < 2 ? one : other).add(row, answers[at]!, at + 1));
  const fit = fitLinear(Moments.join(one, other), { model: 'ridge', alpha: 1e-9 });
  expect(fit.intercept).toBeCloseTo(3, 6);
  expect([...fit.coefficients]).toEqual([expect.closeTo(2, 6), expect.closeTo(-1, 6)]);
  expect(fit.r2).toBeCloseTo(1, 9);
  expect(solve(Float64Array.from([1, 1, 1, 1]), Float64Array.from([1, 1]))).toBeUndefined();
});

test.each([
  ['lime', { n_samples: 1 }, 'must be a whole number of at least 4'],
  ['lime', { model: 'forest' }, 'must be one of ridge, lasso'],
  ['kernel-shap', { tolerance: 0 }, 'must be a number above 0'],
])('%s refuses %o: %s', async (name, options, message) => {
  await expect(explain(name, { options })).rejects.toThrow(message);
});
