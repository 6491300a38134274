import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/inputs/core.ts';
import type { Coalition } from '../../src/programs/index.ts';
import { allCoalitions, shapleyValues } from '../../src/programs/index.ts';
import { SURROGATES } from '../../src/surrogates/index.ts';
import { PairFit } from '../../src/surrogates/pair-fit.ts';
import { complement, kernelCoalitions } from '../../src/surrogates/sampling.ts';
import { warningText } from '../../src/views/warnings.ts';
import { buildModel, explainRow, withModel } from '../attribution/graphs.ts';

const kernelShap = SURROGATES.find(({ name }) => name === 'kernel-shap')!;
const ones = (length: number) => Array<number>(length).fill(1);

/** The answer is the sum over neighbours of the products of `order` elements. */
const products = (width: number, order: number) =>
  buildModel(width, (b, x) => {
    const parts = Array.from({ length: order }, (_, at) =>
      b.matmul(
        x,
        b.constant(
          'float32',
          [width, width - order + 1],
          Array.from({ length: width * (width - order + 1) }, (_each, index) =>
            Number(Math.floor(index / (width - order + 1)) === (index % (width - order + 1)) + at),
          ),
        ),
      ),
    );
    const product = parts.reduce((left, right) => b.mul(left, right));
    return b.matmul(product, b.constant('float32', [width - order + 1, 1], ones(width - order + 1)));
  });

function run(width: number, order: number, options: Readonly<Record<string, number>> = {}) {
  return withModel(products(width, order), (host) =>
    explainRow(host, '', ones(width), { from: ones(width).map(() => 0), method: kernelShap, options }),
  );
}

test.each([
  [40, 32],
  [14, 5],
])(
  'of %i players %i samples settle nothing: scores are near equal shares, and no interval is claimed',
  async (...of) => {
    const [width, n_samples] = of;
    const { scores, explanation } = await run(width, 1, { n_samples });
    scores.forEach((score) => expect(score).toBeCloseTo(1, 4));
    expect(explanation.options['interval']).toBeNull();
    expect(explanation.warnings.join()).toContain(`do not settle the scores of ${width} parts`);
    expect(warningText(explanation.warnings[0]!, 'zh')).toMatchObject({ language: 'zh' });
    expect(Number(explanation.options['samples'])).toBeLessThanOrEqual(n_samples);
  },
);

test('just enough samples settle the scores, but not how sure they are', async () => {
  const { explanation } = await run(14, 3, { n_samples: 26 });
  expect(explanation.options['interval']).toBeNull();
});

test('where at most two players act together pairs are exact, and it stops at once', async () => {
  const { scores, explanation } = await run(14, 2, { n_samples: 4000 });
  scores.forEach((score, at) => expect(score).toBeCloseTo(at === 0 || at === 13 ? 0.5 : 1, 4));
  expect(Number(explanation.options['interval'])).toBeLessThan(1e-4);
  expect(Number(explanation.options['samples'])).toBeLessThanOrEqual(512);
});

test('equal scores have no range, and still it stops', async () => {
  const { explanation } = await run(40, 1);
  expect(Number(explanation.options['samples'])).toBeLessThanOrEqual(512);
});

describe('its intervals hold the true score 95 times of 100', () => {
  const count = 14;
  const games: Readonly<Record<string, (z: Coalition) => number>> = {
    'products of three': (z) =>
      z.reduce((sum, _, at) => sum + (at % 3) * z[at]! * (z[at + 1] ?? 0) * (z[at + 2] ?? 0), 0),
    'five together': (z) => (z.slice(0, 5).includes(0) ? 0 : 10),
    'a largest one': (z) => z.reduce((most, each, at) => Math.max(most, each * at), 0),
  };
  test.each(Object.keys(games))('for %s', (name) => {
    const game = games[name]!;
    const truth = shapleyValues(count, Array.from(allCoalitions(count), game));
    const total = game(Uint8Array.from(ones(count)));
    for (const pairs of [100, 500]) {
      let [held, errors, widths] = [0, 0, 0];
      const seeds = 50;
      for (let seed = 0; seed < seeds; seed++) {
        const fit = new PairFit(count, total);
        fit.add(
          kernelCoalitions(count, pairs, seededRandom(seed)).map((coalition) => ({
            coalition,
            answer: game(coalition),
            opposite: game(complement(coalition)),
          })),
        );
        const solved = fit.solve();
        const intervals = fit.intervals(solved);
        solved.scores.forEach((score, player) => {
          if (Math.abs(score - truth[player]!) <= intervals[player]!) held++;
          errors += (score - truth[player]!) ** 2;
          widths += intervals[player]! ** 2;
        });
      }
      expect(held / (seeds * count)).toBeGreaterThan(0.93);
      expect(held / (seeds * count)).toBeLessThan(0.985);
      expect(Math.sqrt(widths / errors) / 1.96).toBeGreaterThan(0.93);
      expect(Math.sqrt(widths / errors) / 1.96).toBeLessThan(1.15);
    }
  });
});
