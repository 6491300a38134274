import type { Coalition } from '../programs/index.ts';
import { Game, PLAYER_OPTIONS, defineMethod, findPlayers, spreadOver } from '../programs/index.ts';
import type { Cluster } from './hierarchy.ts';
import { hierarchy } from './hierarchy.ts';

/** Clusters opened at once: enough for full batches. */
const BATCH = 16;

/** A cluster of players in a context: what the answer is without and with it. */
interface Item {
  readonly cluster: Cluster;
  readonly context: Coalition;
  readonly without: number;
  readonly with: number;
  readonly weight: number;
}

/**
 * Partition SHAP: Owen values of a hierarchy of parts. The change of the answer is shared between the two halves of the
 * input (of the text, of the picture), each in the other's absence and presence, then between theirs, and so on, opening
 * first what matters most; when `max_evals` forward passes are spent, what is left of a cluster is shared equally.
 * The scores sum to value - baseline value. Texts and vectors are halved by position, pictures across their longer side;
 * where a model has several inputs, they are told apart before any of them is halved.
 * Known flaw: another hierarchy gives other scores.
 * Owen 1977, https://doi.org/10.1007/978-3-642-45494-3_7; as the shap package's PartitionExplainer.
 * Cost: at most `max_evals` forward passes.
 */
export const partitionShap = defineMethod({
  name: 'partition-shap',
  summary: 'Shapley-like values along a hierarchy of parts, opening first what matters most',
  options: { max_evals: { kind: 'integer', default: 500, min: 4, help: 'forward passes' }, ...PLAYER_OPTIONS },
  usesBaseline: true,
  usesGroups: true,
  layers: 'none',
  async attribute(context, { max_evals, ...options }) {
    const game = await Game.open(context, findPlayers(context, options));
    const [value, baselineValue] = (await game.values([game.all(), game.none()])) as [number, number];
    const scores = new Float64Array(game.count);
    const root = hierarchy(game.players.places);
    let open: Item[] = [{ cluster: root, context: game.none(), without: baselineValue, with: value, weight: 1 }];
    let evaluations = 2;
    while (open.length > 0 && evaluations + 2 <= max_evals!) {
      open.sort((left, right) => importance(right) - importance(left));
      const room = Math.min(BATCH, Math.floor((max_evals! - evaluations) / 2));
      const [opened, later] = [open.slice(0, room), open.slice(room)];
      const split = opened.filter(({ cluster }) => cluster.halves !== undefined);
      for (const item of opened) if (item.cluster.halves === undefined) share(item, scores);
      const coalitions = split.flatMap(({ cluster, context: around }) =>
        cluster.halves!.map((half) => joined(around, half)),
      );
      const values = await game.values(coalitions);
      evaluations += coalitions.length;
      open = [
        ...later,
        ...split.flatMap((item, at) =>
          halve(item, [coalitions[2 * at]!, coalitions[2 * at + 1]!], [values[2 * at]!, values[2 * at + 1]!]),
        ),
      ];
    }
    const exact = open.every(({ cluster }) => cluster.halves === undefined);
    for (const item of open) share(item, scores);
    return {
      scores: spreadOver(game.players, scores, true),
      value,
      baselineValue,
      sumsTo: 'difference',
      found: { evaluations, exact },
    };
  },
});

const importance = (item: Item) => item.weight * Math.abs(item.with - item.without);

function joined(context: Coalition, { players }: Cluster): Coalition {
  const coalition = context.slice();
  for (const player of players) coalition[player] = 1;
  return coalition;
}

/** Each half in the absence and in the presence of the other. */
function halve(
  { cluster, context, without, with: whole, weight }: Item,
  [first, second]: readonly [Coalition, Coalition],
  [one, other]: readonly [number, number],
): Item[] {
  const [left, right] = cluster.halves!;
  return [
    { cluster: left, context, without, with: one, weight: weight / 2 },
    { cluster: left, context: second, without: other, with: whole, weight: weight / 2 },
    { cluster: right, context, without, with: other, weight: weight / 2 },
    { cluster: right, context: first, without: one, with: whole, weight: weight / 2 },
  ];
}

/** What a cluster adds, equally to its players. */
function share({ cluster: { players }, without, with: whole, weight }: Item, scores: Float64Array): void {
  for (const player of players) scores[player]! += (weight * (whole - without)) / players.length;
}
