import { expect, test } from 'vitest';
import { SURROGATES } from '../../src/surrogates/index.ts';
import { seededRandom } from '../../src/inputs/core.ts';
import { Moments, fitLinear, lassoPath } from '../../src/surrogates/regression.ts';
import { buildModel, explainRow, withModel } from '../attribution/graphs.ts';

const lime = SURROGATES.find(({ name }) => name === 'lime')!;
const linear = (weights: readonly number[]) =>
  buildModel(weights.length, (b, x) => b.matmul(x, b.constant('float32', [weights.length, 1], weights)));

test('few parts are shrunk by the penalty no more than as many random subsets would shrink them', async () => {
  await withModel(linear([1, 2, 3]), async (host) => {
    const run = (options = {}) => explainRow(host, '', [1, 1, 1], { from: [0, 0, 0], method: lime, options });
    const { scores, explanation } = await run();
    [1, 2, 3].forEach((truth, at) => expect(Math.abs(scores[at]! - truth)).toBeLessThan(0.05));
    expect(Number(explanation.options['r2'])).toBeGreaterThan(0.99);
    expect(explanation.warnings).toEqual([]);
    const more = await run({ n_samples: 100_000 });
    [1, 2, 3].forEach((truth, at) => expect(Math.abs(more.scores[at]! - truth)).toBeLessThan(0.001));
  });
});

test('a single part is shrunk by the penalty as in the lime package, and less with more samples', async () => {
  const square = buildModel(1, (b, x) => b.mul(x, x));
  await withModel(square, async (host) => {
    for (const n_samples of [1000, 1_000_000]) {
      const { scores } = await explainRow(host, '', [2], { from: [0], method: lime, options: { n_samples } });
      // Half the samples have the part, of weight 1; half have not, at a distance of 1.
      const [with_, without] = [n_samples / 2, (n_samples / 2) * Math.sqrt(Math.exp(-1 / 0.25 ** 2))];
      const spread = (with_ * without) / (with_ + without);
      expect(scores[0]).toBeCloseTo((4 * spread) / (spread + 1), 4);
    }
  });
});

test('fits that agree are called stable, also where all parts count the same', async () => {
  await withModel(linear(Array<number>(40).fill(1)), async (host) => {
    const x = Array<number>(40).fill(1);
    const from = x.map(() => 0);
    const { explanation } = await explainRow(host, '', x, { from, method: lime, options: { n_samples: 5000 } });
    expect(Number(explanation.options['r2'])).toBeGreaterThan(0.999);
    expect(Number(explanation.options['stability'])).toBeGreaterThan(0.98);
    expect(explanation.warnings).toEqual([]);
  });
});

test('what another seed changes is about what the stability says', async () => {
  const rough = buildModel(20, (b, x) => {
    const sum = b.matmul(
      x,
      b.constant(
        'float32',
        [20, 1],
        Array.from({ length: 20 }, (_, at) => 1 + (at % 5)),
      ),
    );
    return b.mul(sum, sum);
  });
  await withModel(rough, async (host) => {
    const x = Array.from({ length: 20 }, (_, at) => (at % 3) - 1);
    const run = (seed: number) =>
      explainRow(host, '', x, { from: x.map(() => 0), method: lime, seed, options: { n_samples: 300 } });
    const runs = await Promise.all([1, 2, 3, 4, 5, 6].map(run));
    const stabilities = runs.map(({ explanation }) => Number(explanation.options['stability']));
    const distances: number[] = [];
    for (const { scores: one } of runs)
      for (const { scores: other } of runs)
        if (one !== other)
          distances.push(
            Math.hypot(...one.map((each, at) => each - other[at]!)) / (Math.hypot(...one) + Math.hypot(...other)),
          );
    const mean = (list: readonly number[]) => list.reduce((sum, each) => sum + each, 0) / list.length;
    const ratio = mean(distances) / (1 - mean(stabilities));
    expect(ratio).toBeGreaterThan(0.55);
    expect(ratio).toBeLessThan(0.9);
  });
});

test('a lasso has the objective of scikit-learn: half the mean of squares, and alpha times the absolute values', async () => {
  await withModel(linear([1, 2, 3]), async (host) => {
    const options = { model: 'lasso', alpha: 0.1, width: 1e6 };
    const { scores } = await explainRow(host, '', [1, 1, 1], { from: [0, 0, 0], method: lime, options });
    // The variance of "is it there" is 1/4, and parts are independent: c = truth - alpha / (1/4).
    [1, 2, 3].forEach((truth, at) => expect(scores[at]).toBeCloseTo(truth - 0.4, 4));
    const { explanation } = await explainRow(host, '', [1, 1, 1], {
      from: [0, 0, 0],
      method: lime,
      options: { model: 'lasso' },
    });
    expect(explanation.options['alpha']).toBe(0.01);
  });
});

test('with num_features the parts that matter most to a lasso get scores, the others 0', async () => {
  await withModel(linear([1, -5, 0.5, 3, 2]), async (host) => {
    const x = [1, 1, 1, 1, 1];
    for (const [num_features, kept] of [
      [1, [1]],
      [2, [1, 3]],
      [3, [1, 3, 4]],
      [5, [0, 1, 2, 3, 4]],
      [9, [0, 1, 2, 3, 4]],
    ] as const) {
      const options = { num_features, n_samples: 5000 };
      const { scores } = await explainRow(host, '', x, { from: x.map(() => 0), method: lime, options });
      expect(scores.flatMap((score, at) => (score === 0 ? [] : [at]))).toEqual(kept);
    }
  });
});

test('the path of a lasso is what single lassos find, also where a coefficient goes out again', () => {
  const n = 5;
  let leaves = 0;
  for (const seed of [10, 19, 27, 29, 0]) {
    const random = seededRandom(seed);
    const mix = Array.from({ length: n }, () => Array.from({ length: n }, () => random() - 0.5));
    const truth = Array.from({ length: n }, () => 4 * random() - 2);
    const moments = new Moments(n);
    for (let sample = 0; sample < 30; sample++) {
      const hidden = Array.from({ length: n }, () => random() - 0.5);
      const x = mix.map((weights) => weights.reduce((sum, weight, at) => sum + weight * hidden[at]!, 0));
      moments.add(x, x.reduce((sum, each, at) => sum + each * truth[at]!, 0) + 0.3 * random(), 1);
    }
    // Supports from the largest penalty down, in small steps.
    const supports: number[][] = [];
    for (let alpha = 1; alpha > 1e-5; alpha *= 0.995) {
      const { coefficients } = fitLinear(moments, { model: 'lasso', alpha });
      supports.push([...coefficients.keys()].filter((at) => coefficients[at] !== 0));
    }
    if (supports.some((each, at) => at > 0 && supports[at - 1]!.some((one) => !each.includes(one)))) leaves++;
    const { A, b } = moments.centred();
    for (let most = 1; most < n; most++) {
      const over = supports.findIndex((each) => each.length > most);
      expect(lassoPath(A, b, most)).toEqual(supports.at(over < 0 ? -1 : over - 1));
    }
  }
  expect(leaves).toBeGreaterThanOrEqual(4);
});
