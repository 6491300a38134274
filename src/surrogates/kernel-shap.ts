import { seededRandom } from '../inputs/core.ts';
import type { Attribution } from '../programs/index.ts';
import { Game, PLAYER_OPTIONS, defineMethod, enumerateGame, findPlayers, spreadOver } from '../programs/index.ts';
import { checkFits } from './limit.ts';
import { PairFit } from './pair-fit.ts';
import type { PairScores } from './pair-fit.ts';
import { complement, kernelCoalitions } from './sampling.ts';

/** Pairs between looks at the confidence intervals. */
const ROUND = 256;
/** A look goes through all pairs, so that looks come further apart as there are more of them. */
const GROWTH = 1.25;
/** An interval this narrow, for scores of 1, is rounding. */
const ROUNDING = 1e-6;

/**
 * Kernel SHAP: Shapley values as the weighted linear fit to the answers of coalitions, with the sum held to
 * value - baseline value. Sizes of coalitions are drawn by the Shapley kernel, each coalition with its complement
 * (Covert & Lee 2021, https://arxiv.org/abs/2012.01536); when all coalitions are no more than `n_samples` each is run
 * once, and the values are exact. Without `n_samples` it takes 2 n + 2048 for n players, as the shap package, and stops
 * as soon as the largest 95% interval is narrower than `tolerance` times the range of the scores. An odd `n_samples` runs
 * one fewer. Fewer than 2 (n - 1) samples do not settle n scores: of all that fit, those nearest to equal shares are
 * given, and a warning.
 * Reported: `interval`, half the width of the widest 95% interval, from the spread of the pairs; null where they do not
 * tell. For at most 2,048 parts.
 * Lundberg & Lee 2017, https://arxiv.org/abs/1705.07874. Cost: at most `n_samples` forward passes.
 */
export const kernelShap = defineMethod({
  name: 'kernel-shap',
  summary: 'Shapley values by a weighted linear fit to sampled coalitions, with confidence intervals',
  options: {
    n_samples: { kind: 'integer', default: null, min: 4, help: 'coalitions; default: 2 for each player and 2048' },
    tolerance: { kind: 'number', default: 0.01, above: 0, help: 'stop when intervals are this narrow' },
    ...PLAYER_OPTIONS,
  },
  usesBaseline: true,
  usesGroups: true,
  layers: 'none',
  async attribute(context, { n_samples, tolerance, ...options }): Promise<Attribution> {
    const game = await Game.open(context, checkFits('kernel-shap', findPlayers(context, options)));
    const { count } = game;
    const budget = n_samples ?? 2 * count + 2048;
    if (count < 30 && 2 ** count <= budget) {
      const found = { n_samples: budget, samples: 2 ** count, exact: true, interval: 0 };
      return { ...(await enumerateGame(game)), found };
    }
    const [value, baselineValue] = (await game.values([game.all(), game.none()])) as [number, number];
    const random = seededRandom(context.seed);
    const fit = new PairFit(count, value - baselineValue);
    const pairs = Math.floor(budget / 2);
    let [done, next] = [0, 2 * count + 1];
    let [solved, interval]: [PairScores | undefined, number] = [undefined, Infinity];
    while (done < pairs) {
      const coalitions = kernelCoalitions(count, Math.min(ROUND, pairs - done), random);
      const answers = await game.values(coalitions.flatMap((coalition) => [coalition, complement(coalition)]));
      fit.add(
        coalitions.map((coalition, at) => ({
          coalition,
          answer: answers[2 * at]! - baselineValue,
          opposite: answers[2 * at + 1]! - baselineValue,
        })),
      );
      done += coalitions.length;
      if (done < Math.min(pairs, next)) continue;
      next = GROWTH * done;
      solved = fit.solve();
      interval = Math.max(...fit.intervals(solved));
      const [low, high] = [Math.min(...solved.scores), Math.max(...solved.scores)];
      if (interval <= Math.max(tolerance! * (high - low), ROUNDING * Math.max(high, -low))) break;
    }
    return {
      scores: spreadOver(game.players, solved!.scores, true),
      value,
      baselineValue,
      sumsTo: 'difference',
      found: {
        n_samples: budget,
        samples: 2 * done,
        exact: false,
        interval: Number.isFinite(interval) ? interval : null,
        seed: context.seed,
      },
      warnings: solved!.determined
        ? []
        : [
            `${2 * done} samples do not settle the scores of ${count} parts: take at least ${4 * count}, or fewer parts`,
          ],
    };
  },
});
