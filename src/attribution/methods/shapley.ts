import { seededRandom } from '../../inputs/core.ts';
import { UserError } from '../../onnx/index.ts';
import {
  Estimates,
  Game,
  PLAYER_OPTIONS,
  defineMethod,
  enumerateGame,
  findPlayers,
  randomOrder,
  spreadOver,
} from '../../programs/index.ts';

/** More players than this are not enumerated: 65,536 forward passes. */
const MOST_ENUMERATED = 16;

/**
 * Shapley values from all 2^n coalitions of n players: each player's contribution averaged over all orders in which
 * players come in. The scores sum to value - baseline value; a group's score is shared equally by its elements.
 * Shapley 1953, https://doi.org/10.1515/9781400881970-018. Cost: 2^n forward passes, for at most 16 players.
 */
export const exactShapley = defineMethod({
  name: 'exact-shapley',
  summary: 'Shapley values of at most 16 words, regions or features, from all their coalitions',
  options: PLAYER_OPTIONS,
  usesBaseline: true,
  usesGroups: true,
  layers: 'none',
  async attribute(context, options) {
    const players = findPlayers(context, options);
    if (players.count > MOST_ENUMERATED)
      throw new UserError(
        `exact-shapley runs all coalitions of at most ${MOST_ENUMERATED} features, and the input has ${players.count}: use shapley-sampling, or fewer regions or groups`,
      );
    return enumerateGame(await Game.open(context, players));
  },
});

/**
 * Shapley values estimated from random orders in which players come in; each order is also run backwards, which takes
 * out much of the variance, so that an odd `n_samples` runs one order more. When all coalitions are no more work than the
 * samples, they are run instead, and the values are exact. The scores sum to value - baseline value in either case; the
 * largest standard error is reported, null for a single pair of orders, which tells nothing of it.
 * Strumbelj & Kononenko 2010, https://jmlr.org/papers/v11/strumbelj10a.html; Captum's default is 25 orders.
 * Cost: `n_samples` times the number of players forward passes.
 */
export const shapleySampling = defineMethod({
  name: 'shapley-sampling',
  summary: 'Shapley values estimated from random orders of words, regions or features',
  options: {
    n_samples: { kind: 'integer', default: 26, min: 2, help: 'orders sampled, in pairs of one and its reverse' },
    ...PLAYER_OPTIONS,
  },
  usesBaseline: true,
  usesGroups: true,
  layers: 'none',
  async attribute(context, { n_samples, ...options }) {
    const game = await Game.open(context, findPlayers(context, options));
    const { count } = game;
    if (count <= MOST_ENUMERATED && 2 ** count <= n_samples! * count) return enumerateGame(game);
    const random = seededRandom(context.seed);
    const [value, baselineValue] = (await game.values([game.all(), game.none()])) as [number, number];
    const pairs = Math.ceil(n_samples! / 2);
    const estimates = new Estimates(count);
    for (let pair = 0; pair < pairs; pair++) {
      const order = randomOrder(count, random);
      const [forward, backward] = [await marginals(game, order), await marginals(game, order.toReversed())];
      estimates.add(forward.map((gain, player) => (gain + backward[player]!) / 2));
    }
    return {
      scores: spreadOver(game.players, estimates.mean, true),
      value,
      baselineValue,
      sumsTo: 'difference',
      found: { orders: 2 * pairs, exact: false, standardError: estimates.standardError, seed: context.seed },
    };
  },
});

/** What each player adds when players come in in this order. */
async function marginals(game: Game, order: readonly number[]): Promise<Float64Array> {
  const values = await game.values(
    (function* () {
      const coalition = game.none();
      yield coalition;
      for (const player of order) {
        coalition[player] = 1;
        yield coalition;
      }
    })(),
  );
  const result = new Float64Array(game.count);
  order.forEach((player, at) => (result[player] = values[at + 1]! - values[at]!));
  return result;
}
