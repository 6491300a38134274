import { UserError } from '../../onnx/index.ts';
import type { Attribution, AttributionContext, PlayerOptions } from '../../programs/index.ts';
import { Game, PLAYER_OPTIONS, baselineCount, defineMethod, findPlayers, spreadOver } from '../../programs/index.ts';

/**
 * The answer minus the answer with one group of features replaced by the baseline. All elements of a group get the
 * group's score, as in Captum, so scores do not sum to anything.
 * Known flaw: sees each group alone; what two groups say twice counts for neither.
 * Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901. Cost: one forward pass for each group.
 */
export const featureAblation = defineMethod({
  name: 'feature-ablation',
  summary: 'how much the answer drops when a word, region or group of features is replaced by the baseline',
  options: PLAYER_OPTIONS,
  usesBaseline: true,
  usesGroups: true,
  layers: 'none',
  attribute: ablate,
});

/**
 * Feature ablation of each token or element by itself. Li, Monroe & Jurafsky 2016, https://arxiv.org/abs/1612.08220.
 * Cost: one forward pass for each token or element.
 */
export const leaveOneOut = defineMethod({
  name: 'leave-one-out',
  summary: 'how much the answer drops when a single token or element is replaced by the baseline',
  options: {},
  usesBaseline: true,
  layers: 'none',
  attribute: (context) => ablate(context, { features: hasText(context) ? 'tokens' : 'elements', regions: null }),
});

const hasText = ({ modality }: AttributionContext) =>
  modality.kind === 'text' || (modality.kind === 'image' && modality.text !== undefined);

async function ablate(context: AttributionContext, options: PlayerOptions): Promise<Attribution> {
  const game = await Game.open(context, findPlayers(context, options));
  const [value, baselineValue, ...without] = await game.values(
    (function* () {
      yield game.all();
      yield game.none();
      for (let player = 0; player < game.count; player++) {
        const coalition = game.all();
        coalition[player] = 0;
        yield coalition;
      }
    })(),
  );
  const drops = without.map((each) => value! - each);
  return {
    scores: spreadOver(game.players, drops, false),
    value: value!,
    baselineValue: baselineValue!,
    sumsTo: null,
    found: { groups: game.count },
  };
}

/**
 * The answer minus its mean when a group of features takes its values from other samples: the rows of the baseline
 * given, of which at least 2 are needed. Captum shuffles a feature within a batch, which is one such draw.
 * Known flaw: mixes values that never occur together. Breiman 2001, https://doi.org/10.1023/A:1010933404324;
 * Fisher, Rudin & Dominici 2019, https://arxiv.org/abs/1801.01489. Cost: groups times samples forward passes.
 */
export const featurePermutation = defineMethod({
  name: 'feature-permutation',
  summary: 'how much the answer drops when a feature takes its values from other samples (rows of the baseline)',
  options: PLAYER_OPTIONS,
  usesBaseline: 'many',
  usesGroups: true,
  layers: 'none',
  async attribute(context, options) {
    const samples = baselineCount(context);
    if (samples < 2)
      throw new UserError('feature-permutation needs samples to take values from: give a baseline of at least 2 rows');
    const players = findPlayers(context, options);
    const runner = await context.open({ rows: 'masks', groups: players.groups, manyBaselines: true });
    const target = await context.target(runner);
    const { count } = players;
    const rows = Array.from({ length: count * samples }, (_, row) => row);
    const { values } = await runner.run(
      {
        weights: [...rows.map(() => 1), 1],
        baselines: [...rows.map((row) => row % samples), 0],
        inputRow: rows.length,
        masks: (row) => {
          const mask = new Float32Array(count + 1).fill(1);
          if (row < rows.length) mask[Math.floor(row / samples)] = 0;
          return mask;
        },
      },
      target,
    );
    const value = values.at(-1)!;
    const drops = Float64Array.from({ length: count }, (_, player) => {
      const own = values.slice(player * samples, (player + 1) * samples);
      return value - own.reduce((sum, each) => sum + each, 0) / samples;
    });
    return { scores: spreadOver(players, drops, false), value, baselineValue: null, sumsTo: null, found: { samples } };
  },
});
