import { seededRandom } from '../inputs/core.ts';
import type { Attribution, Coalition } from '../programs/index.ts';
import {
  Estimates,
  Game,
  PLAYER_OPTIONS,
  defineMethod,
  enumerateGame,
  findPlayers,
  randomOrder,
  spreadOver,
} from '../programs/index.ts';

/**
 * Permutation SHAP: Shapley values from random orders, each walked forwards and backwards, which is exact for answers
 * in which at most two parts act together. When all coalitions are no more work than the walks, they are run instead and
 * the values are exact. The scores sum to value - baseline value; the largest standard error is reported,
 * null for a single order.
 * As the shap package's PermutationExplainer; Mitchell et al. 2022, https://jmlr.org/papers/v23/21-0439.html.
 * Cost: `n_permutations` times twice the number of players forward passes.
 */
export const permutationShap = defineMethod({
  name: 'permutation-shap',
  summary: 'Shapley values from random orders walked forwards and backwards',
  options: { n_permutations: { kind: 'integer', default: 10, min: 1, help: 'orders' }, ...PLAYER_OPTIONS },
  usesBaseline: true,
  usesGroups: true,
  layers: 'none',
  async attribute(context, { n_permutations, ...options }): Promise<Attribution> {
    const game = await Game.open(context, findPlayers(context, options));
    const { count } = game;
    const walks = n_permutations!;
    if (count < 30 && 2 ** count <= 2 * walks * count) return enumerateGame(game);
    const random = seededRandom(context.seed);
    const estimates = new Estimates(count);
    let ends: readonly [number, number] = [0, 0];
    for (let walk = 0; walk < walks; walk++) {
      const order = randomOrder(count, random);
      const values = await game.values(roundTrip(game.none(), order));
      ends = [values[0]!, values[count]!];
      const estimate = new Float64Array(count);
      order.forEach((player, at) => {
        // Coming in going forwards, and leaving on the way back, in the same order.
        const gain = values[at + 1]! - values[at]!;
        const loss = values[count + at]! - values[count + at + 1]!;
        estimate[player] = (gain + loss) / 2;
      });
      estimates.add(estimate);
    }
    return {
      scores: spreadOver(game.players, estimates.mean, true),
      value: ends[1],
      baselineValue: ends[0],
      sumsTo: 'difference',
      found: { walks, exact: false, standardError: estimates.standardError, seed: context.seed },
    };
  },
});

/** Players come in one by one, then leave in the same order. */
function* roundTrip(coalition: Coalition, order: readonly number[]): Generator<Coalition> {
  yield coalition;
  for (const kept of [1, 0])
    for (const player of order) {
      coalition[player] = kept;
      yield coalition;
    }
}
