import type { Random } from '../inputs/core.ts';
import { seededRandom } from '../inputs/core.ts';
import type { Coalition } from '../programs/index.ts';
import { Game, PLAYER_OPTIONS, allCoalitions, defineMethod, findPlayers, spreadOver } from '../programs/index.ts';
import type { Regression } from './linear.ts';
import { checkFits } from './limit.ts';
import { fitLinear } from './linear.ts';

/** Fits whose agreement tells how stable the result is. */
const PARTS = 4;

/**
 * LIME: a linear model of the answer over "is this part there", fitted to random subsets of the parts (each kept with
 * probability 1/2), near ones weighing more: sqrt(exp(-d^2 / width^2)), d = 1 - cosine to the whole input. All elements
 * of a part get its coefficient. When all subsets are no more than `n_samples`, each is run once instead, and
 * counts `n_samples` / 2^n times.
 * Reported: `r2`, how well the linear model fits; `stability`, the mean correlation between fits on four parts of the
 * samples (1 when all subsets were run). Both below 0.8 or so mean that the scores should not be trusted, and are warned of.
 * Defaults as in the lime package (ridge with alpha 1, width 0.25), with one distance for texts and pictures alike.
 * Known flaw: another width or another way of taking parts away gives other scores.
 * Ribeiro, Singh & Guestrin 2016, https://arxiv.org/abs/1602.04938. Cost: at most `n_samples` forward passes.
 */
export const lime = defineMethod({
  name: 'lime',
  summary: 'a linear model fitted to the answers when random parts of the input are taken away',
  options: {
    n_samples: { kind: 'integer', default: 1000, min: 4, help: 'subsets of the parts' },
    width: { kind: 'number', default: 0.25, above: 0, help: 'of the kernel: how near subsets must be to count' },
    model: { kind: 'choice', default: 'ridge', choices: ['ridge', 'lasso'], help: 'penalty of the linear model' },
    alpha: { kind: 'number', default: 1, above: 0, help: 'weight of the penalty' },
    ...PLAYER_OPTIONS,
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { n_samples, width, model, alpha, ...options }) {
    const game = await Game.open(context, checkFits('lime', findPlayers(context, options)));
    const { count } = game;
    const enumerated = count < 30 && 2 ** count <= n_samples!;
    const coalitions = enumerated
      ? [...allCoalitions(count)]
      : [game.all(), ...randomCoalitions(count, n_samples! - 1, seededRandom(context.seed))];
    const answers = await game.values(coalitions);
    // Each of all subsets stands for as many of the samples as would have drawn it, so that the penalty weighs the same.
    const times = enumerated ? n_samples! / coalitions.length : 1;
    const data: Regression = {
      rows: coalitions,
      answers,
      weights: coalitions.map((each) => times * nearness(each, width!)),
    };
    const fit = fitLinear(data, model, alpha!);
    const stability = enumerated ? 1 : agreement(data, (part) => fitLinear(part, model, alpha! / PARTS).coefficients);
    const [value, baselineValue] = (await game.values([game.all(), game.none()])) as [number, number];
    return {
      scores: spreadOver(game.players, fit.coefficients, false),
      value,
      baselineValue,
      sumsTo: null,
      found: { samples: coalitions.length, r2: fit.r2, stability, intercept: fit.intercept, seed: context.seed },
      warnings: [
        ...(fit.r2 < 0.7 ? [`the linear model explains only ${percent(fit.r2)} of the answers around this input`] : []),
        ...(stability < 0.8
          ? [`fits on other samples agree only to ${percent(stability)}: take more samples or fewer parts`]
          : []),
      ],
    };
  },
});

const percent = (share: number) => `${Math.round(100 * Math.max(0, share))}%`;

function randomCoalitions(count: number, samples: number, random: Random): Coalition[] {
  return Array.from({ length: samples }, () => Uint8Array.from({ length: count }, () => (random() < 0.5 ? 0 : 1)));
}

function nearness(coalition: Coalition, width: number): number {
  let kept = 0;
  for (const each of coalition) kept += each;
  const distance = 1 - Math.sqrt(kept / coalition.length);
  return Math.sqrt(Math.exp(-(distance ** 2) / width ** 2));
}

/** Mean correlation between fits on every fourth sample. */
function agreement({ rows, answers, weights }: Regression, fit: (part: Regression) => Float64Array): number {
  const fits = Array.from({ length: PARTS }, (_, part) => {
    const own = <T>(list: readonly T[]) => list.filter((_each, index) => index % PARTS === part);
    return fit({ rows: own(rows), answers: own(answers), weights: own(weights) });
  });
  let [sum, pairs] = [0, 0];
  for (let left = 0; left < PARTS; left++)
    for (let right = left + 1; right < PARTS; right++, pairs++) sum += correlation(fits[left]!, fits[right]!);
  return sum / pairs;
}

function correlation(left: Float64Array, right: Float64Array): number {
  const mean = (list: Float64Array) => list.reduce((sum, each) => sum + each, 0) / list.length;
  const [a, b] = [mean(left), mean(right)];
  let [both, one, other] = [0, 0, 0];
  left.forEach((each, index) => {
    both += (each - a) * (right[index]! - b);
    one += (each - a) ** 2;
    other += (right[index]! - b) ** 2;
  });
  return one > 0 && other > 0 ? both / Math.sqrt(one * other) : Number(one === other);
}
