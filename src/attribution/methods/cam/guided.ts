import { UserError, sizeOf } from '../../../onnx/index.ts';
import { defineMethod } from '../../../programs/index.ts';
import { drawMap } from './draw.ts';
import { pictureOf } from './picture.ts';
import { enlarge } from './enlarge.ts';

/**
 * Guided Grad-CAM: guided backprop at the input times the Grad-CAM map, enlarged. Shaped like the input.
 * `interpolation=nearest` is Captum's; the paper enlarges bilinearly.
 * Known flaw: the fine detail is guided backprop's, which hardly depends on the model (Adebayo et al. 2018).
 * Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391. Cost: Grad-CAM, and one forward and backward pass.
 */
export const guidedGradCam = defineMethod({
  name: 'guided-grad-cam',
  summary: 'guided backprop times the enlarged Grad-CAM map',
  options: {
    interpolation: { kind: 'choice', default: 'bilinear', choices: ['bilinear', 'nearest'], help: 'of the map' },
  },
  usesBaseline: false,
  layers: 'own-layer',
  async attribute(context, { interpolation }) {
    const { feature, layout, height, width } = pictureOf(context, 'guided-grad-cam');
    const plain = { relu: true, eigen_smooth: false, aug_smooth: false };
    const drawn = await drawMap(context, { ...plain, method: 'guided-grad-cam', form: 'grad-cam' });
    const [map] = Object.values(drawn.scores);
    const large = enlarge(map!, height, width, interpolation === 'nearest');
    const runner = await context.open({ rows: 'alphas', backward: { rules: { set: 'guided' }, reduction: 'signed' } });
    const { scores } = await runner.run({ alphas: [1], weights: [1] }, await context.target(runner));
    const guided = scores[feature.input];
    if (guided === undefined) throw new UserError(`guided-grad-cam has no gradient at "${feature.input}"`);
    const channels = sizeOf(guided.dims) / (height * width);
    const place = (at: number) => (layout === 'NCHW' ? at % (height * width) : Math.floor(at / channels));
    return {
      ...drawn,
      scores: {
        [feature.input]: {
          dims: guided.dims,
          data: Float32Array.from(guided.data, (each, at) => each * large[place(at)]!),
        },
      },
    };
  },
});
