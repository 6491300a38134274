import { defineMethod } from '../../../programs/index.ts';
import { pictureOf } from './picture.ts';

/**
 * FullGrad: psi(x G_x) + sum over layers of psi(b G_b), b the biases of every map, those of batch norms included, psi the
 * absolute value brought to the range from 0 to 1, enlarged to the picture and summed over channels. Without psi the
 * parts of a ReLU network sum to the answer, less the biases that have no place. [1, 1, H, W] at the picture's input.
 * `normalize=channel` is pytorch-grad-cam's range. Known flaw: psi weighs all layers alike, and shows no sign.
 * Srinivas & Fleuret 2019, https://arxiv.org/abs/1905.00780. Cost: one forward and one backward pass.
 */
export const fullGrad = defineMethod({
  name: 'full-grad',
  summary: 'gradients times biases of all layers and the input, summed over the picture (FullGrad)',
  options: {
    normalize: { kind: 'choice', default: 'layer', choices: ['layer', 'channel'], help: 'what is scaled to 0 to 1' },
  },
  usesBaseline: false,
  layers: 'none',
  async attribute(context, { normalize }) {
    const { feature, layout, height, width } = pictureOf(context, 'full-grad');
    const runner = await context.open({
      rows: 'alphas',
      fullGradient: { picture: feature, layout, height, width, normalize },
    });
    const { maps, values } = await runner.run({ weights: [1], alphas: [1] }, await context.target(runner));
    const dims = layout === 'NCHW' ? [1, 1, height, width] : [1, height, width, 1];
    return {
      scores: { [feature.input]: { dims, data: Float32Array.from(maps[0]!) } },
      value: values[0]!,
      baselineValue: null,
      sumsTo: null,
    };
  },
});
