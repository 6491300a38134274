/** Class activation maps whose channel weights come from forward passes: rows of the input, or of the layer. */
import { UserError } from '../../../onnx/index.ts';
import { defineMethod } from '../../../programs/index.ts';
import { channelMaps, layerValues, mapAttribution, weightedMap } from './draw.ts';
import { targetLayer } from './target-layer.ts';

const RELU = { kind: 'boolean', default: true, help: 'make negative values of the map 0' } as const;

/**
 * Score-CAM: relu(sum_k w_k A_k), w the softmax over channels of the target's value for the picture seen through A_k:
 * enlarged to the picture and stretched from 0 to 1. What a mask hides is replaced by the baseline. Channels that are the
 * same everywhere hide everything and share one pass. The paper subtracts the baseline's value, which a softmax does not see.
 * Known flaw: a softmax over raw scores can leave a handful of channels. `align_corners` is pytorch-grad-cam's way to enlarge.
 * Wang et al. 2020, https://arxiv.org/abs/1910.01279. Cost: a forward pass for each channel.
 */
export const scoreCam = defineMethod({
  name: 'score-cam',
  summary: 'channels of a layer weighted by the answer to the picture seen through them (Score-CAM)',
  options: {
    relu: RELU,
    align_corners: { kind: 'boolean', default: false, help: 'enlarge maps corner on corner, not edge on edge' },
  },
  usesBaseline: true,
  layers: 'own-layer',
  async attribute(context, { relu, align_corners }) {
    const place = targetLayer(context, 'score-cam');
    const { fold, picture } = place;
    const maps = channelMaps(await layerValues(context, place), place);
    const { height, width } = fold;
    const runner = await context.open({
      rows: 'planes',
      features: [picture.feature],
      planes: { height, width, layout: picture.layout, stretch: true, alignCorners: align_corners },
    });
    const target = await context.target(runner);
    const hidden = new Float32Array(height * width);
    const varied = maps.flatMap((map, channel) => (isConstant(map) ? [] : [channel]));
    const rows = [new Float32Array(height * width).fill(1), hidden, ...varied.map((channel) => maps[channel]!)];
    const { values } = await runner.run({ weights: rows.map(() => 1), masks: (row) => rows[row]! }, target);
    const scores = new Float64Array(maps.length).fill(values[1]!);
    varied.forEach((channel, at) => (scores[channel] = values[at + 2]!));
    return {
      ...mapAttribution(place, weightedMap(maps, softmax(scores), relu), values[0]!),
      baselineValue: values[1]!,
    };
  },
});

/**
 * Ablation-CAM: relu(sum_k w_k A_k), w_k = (y - y_k) / y, y_k the target's value without channel k (zero everywhere).
 * Known flaw: divides by y, so a target whose value is near 0 has wild weights and one below 0 turns them round.
 * Desai & Ramaswamy 2020, https://doi.org/10.1109/WACV45572.2020.9093360. Cost: one forward pass, and for each channel one
 * behind the layer.
 */
export const ablationCam = defineMethod({
  name: 'ablation-cam',
  summary: 'channels of a layer weighted by how the answer drops without them (Ablation-CAM)',
  options: { relu: RELU },
  usesBaseline: false,
  layers: 'own-layer',
  async attribute(context, { relu }) {
    const place = targetLayer(context, 'ablation-cam');
    const { layer, fold } = place;
    const values = await layerValues(context, place);
    const maps = channelMaps(values, place);
    const runner = await context.open({
      rows: 'channels',
      features: [layer],
      channels: { axis: fold.kind === 'channels-first' ? 1 : fold.kind === 'tokens' ? 2 : 3, count: fold.channels },
      inputPoint: () => values,
    });
    const target = await context.target(runner);
    const alive = maps.flatMap((map, channel) => (map.some((value) => value !== 0) ? [channel] : []));
    const { values: answers } = await runner.run(
      {
        weights: [1, ...alive.map(() => 1)],
        points: () => values,
        masks: (row) => {
          const mask = new Float32Array(fold.channels).fill(1);
          if (row > 0) mask[alive[row - 1]!] = 0;
          return mask;
        },
      },
      target,
    );
    const value = answers[0]!;
    if (value === 0)
      throw new UserError('the target’s value is 0, which ablation-cam divides by: choose another target');
    const weights = new Float64Array(fold.channels);
    alive.forEach((channel, at) => (weights[channel] = (value - answers[at + 1]!) / value));
    return mapAttribution(place, weightedMap(maps, weights, relu), value);
  },
});

function isConstant(map: Float32Array): boolean {
  return map.every((value) => value === map[0]);
}

function softmax(scores: Float64Array): Float64Array {
  let largest = -Infinity;
  for (const score of scores) largest = Math.max(largest, score);
  const powers = scores.map((score) => Math.exp(score - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
