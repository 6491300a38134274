import { seededRandom } from '../../inputs/core.ts';
import { UserError } from '../../onnx/index.ts';
import type { Attribution } from '../../programs/index.ts';
import {
  Game,
  PLAYER_OPTIONS,
  allCoalitions,
  defineMethod,
  findPlayers,
  shapleyValues,
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
  layers: 'none',
  async attribute(context, options) {
    const players = findPlayers(context, options);
    if (players.count > MOST_ENUMERATED)
      throw new UserError(
        `exact-shapley runs all coalitions of at most ${MOST_ENUMERATED} features, and the input has ${players.count}: use shapley-sampling, or fewer regions or groups`,
      );
    return enumerate(await Game.open(context, players));
  },
});

/**
 * Shapley values estimated from random orders in which players come in; each order is also run backwards, which takes
 * out much of the variance. When all coalitions are no more work than the samples, they are run instead, and the values
 * are exact. The scores sum to value - baseline value in either case; the largest standard error is reported.
 * Strumbelj & Kononenko 2010, https://jmlr.org/papers/v11/strumbelj10a.html; Captum's default is also 25 orders.
 * Cost: `n_samples` times the number of players forward passes.
 */
export const shapleySampling = defineMethod({
  name: 'shapley-sampling',
  summary: 'Shapley values estimated from random orders of words, regions or features',
  options: { n_samples: { kind: 'integer', default: 25, min: 2, help: 'orders sampled' }, ...PLAYER_OPTIONS },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { n_samples, ...options }) {
    const game = await Game.open(context, findPlayers(context, options));
    const { count } = game;
    if (count <= MOST_ENUMERATED && 2 ** count <= n_samples! * count) return enumerate(game);
    const random = seededRandom(context.seed);
    const [value, baselineValue] = (await game.values([game.all(), game.none()])) as [number, number];
    const pairs = Math.ceil(n_samples! / 2);
    const [sums, squares] = [new Float64Array(count), new Float64Array(count)];
    for (let pair = 0; pair < pairs; pair++) {
      const order = shuffled(count, random);
      const [forward, backward] = [await marginals(game, order), await marginals(game, order.toReversed())];
      for (let player = 0; player < count; player++) {
        const mean = (forward[player]! + backward[player]!) / 2;
        sums[player]! += mean;
        squares[player]! += mean * mean;
      }
    }
    const scores = sums.map((sum) => sum / pairs);
    const errors = scores.map((mean, player) =>
      Math.sqrt(Math.max(0, squares[player]! / pairs - mean * mean) / Math.max(1, pairs - 1)),
    );
    return {
      scores: spreadOver(game.players, scores, true),
      value,
      baselineValue,
      sumsTo: 'difference',
      found: { orders: 2 * pairs, exact: false, standardError: Math.max(...errors), seed: context.seed },
    };
  },
});

async function enumerate(game: Game): Promise<Attribution> {
  const values = await game.values(allCoalitions(game.count));
  return {
    scores: spreadOver(game.players, shapleyValues(game.count, values), true),
    value: values.at(-1)!,
    baselineValue: values[0]!,
    sumsTo: 'difference',
    found: { coalitions: values.length, exact: true },
  };
}

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

function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}
