import type { Coalition } from '../programs/index.ts';
import { Game, PLAYER_OPTIONS, allCoalitions, defineMethod, findPlayers, spreadOver } from '../programs/index.ts';
import { checkFits } from './limit.ts';
import { Moments, fitLinear } from './regression.ts';
import { limeHalves } from './sampling.ts';

/** Coalitions whose answers are held at a time. */
const ROUND = 256;
/** The lime package's ridge, and Captum's lasso. */
const ALPHA = { ridge: 1, lasso: 0.01 } as const;

/**
 * LIME: a linear model of the answer over "is this part there", fitted to random subsets of the parts (each kept with
 * probability 1/2), near ones weighing more: sqrt(exp(-d^2 / width^2)), d = 1 - cosine to the whole input. All elements
 * of a part get its coefficient. When all subsets are no more than `n_samples`, each is run once instead, and
 * counts `n_samples` / 2^n times. With `num_features` only the parts that the path of a lasso takes up first are fitted,
 * and the others get 0 (the lime package's `lasso_path`).
 * Reported: `r2`, how well the linear model fits; `stability`, how near the scores of one half of the samples come to those
 * of the other, which is drawn from another seed: 1 - |a - b| / (|a| + |b|), from 0 to 1, and 1 when all subsets were run.
 * Another seed moves the scores by about 0.7 of that distance. `r2` below 0.7 and `stability` below 0.8 are warned of.
 * Defaults as in the lime package: ridge with alpha 1, width 0.25 (25 hundredths for its texts), and for pictures its
 * subsets; of texts it draws how many words to take away first, any number being as likely as any other. The penalties are
 * as in scikit-learn: ridge adds alpha |c|^2 to the weighted sum of squares, lasso alpha |c|_1 to half the weighted mean of
 * squares; Captum's Lime is a lasso with alpha 0.01. For at most 2,048 parts.
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
    alpha: {
      kind: 'number',
      default: null,
      above: 0,
      help: `weight of the penalty; default: ${ALPHA.ridge} for ridge, ${ALPHA.lasso} for lasso`,
    },
    num_features: { kind: 'integer', default: null, min: 1, help: 'parts that get a score; default: all' },
    ...PLAYER_OPTIONS,
  },
  usesBaseline: true,
  usesGroups: true,
  layers: 'none',
  async attribute(context, { n_samples, width, model, num_features, ...options }) {
    const game = await Game.open(context, checkFits('lime', findPlayers(context, options)));
    const { count } = game;
    const alpha = options.alpha ?? ALPHA[model];
    const features = num_features ?? undefined;
    const enumerated = count < 30 && 2 ** count <= n_samples!;
    // Each of all subsets stands for as many of the samples as would have drawn it, so that the penalty weighs the same.
    const times = enumerated ? n_samples! / 2 ** count : 1;
    const samples = enumerated ? 2 ** count : n_samples!;
    const halves: Moments[] = [];
    for (const coalitions of enumerated ? [allCoalitions(count)] : limeHalves(count, n_samples!, context.seed)) {
      const moments = new Moments(count);
      for (const round of inRounds(coalitions)) {
        const answers = await game.values(round);
        round.forEach((each, at) => moments.add(each, answers[at]!, times * nearness(each, width!)));
      }
      halves.push(moments);
    }
    const fit = fitLinear(halves.reduce(Moments.join), { model, alpha, features });
    // The ridge is a sum over samples, of which a half has half as many.
    const half = { model, alpha: model === 'ridge' ? alpha / 2 : alpha, features };
    const stability = enumerated ? 1 : agreement(halves.map((each) => fitLinear(each, half).coefficients));
    const [value, baselineValue] = (await game.values([game.all(), game.none()])) as [number, number];
    return {
      scores: spreadOver(game.players, fit.coefficients, false),
      value,
      baselineValue,
      sumsTo: null,
      found: { alpha, samples, r2: fit.r2, stability, intercept: fit.intercept, seed: context.seed },
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

function* inRounds(coalitions: Iterable<Coalition>): Generator<Coalition[]> {
  let round: Coalition[] = [];
  for (const coalition of coalitions) {
    round.push(coalition);
    if (round.length < ROUND) continue;
    yield round;
    round = [];
  }
  if (round.length > 0) yield round;
}

function nearness(coalition: Coalition, width: number): number {
  let kept = 0;
  for (const each of coalition) kept += each;
  const distance = 1 - Math.sqrt(kept / coalition.length);
  return Math.sqrt(Math.exp(-(distance ** 2) / width ** 2));
}

/** 1 - |a - b| / (|a| + |b|): 1 for equal scores, of which a correlation would say nothing where they are all alike. */
function agreement([one, other]: readonly Float64Array[]): number {
  const size = Math.hypot(...one!) + Math.hypot(...other!);
  return size === 0 ? 1 : 1 - Math.hypot(...one!.map((each, at) => each - other![at]!)) / size;
}
