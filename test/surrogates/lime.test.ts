import { expect, test } from 'vitest';
import { SURROGATES } from '../../src/surrogates/index.ts';
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
