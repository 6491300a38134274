import { seededNoise, seededRandom } from '../../inputs/core.ts';
import { baselineCount, defineMethod, randomOrder } from '../../programs/index.ts';

/**
 * Gradients at random points between random baselines and the input, times their difference: integrated gradients
 * averaged over a distribution of baselines (the rows of the one given), an estimate of SHAP values also known as
 * GradientSHAP. Positions are stratified over [0, 1] and baselines taken in turn, which has less variance than Captum's
 * independent draws. `stdevs` adds Gaussian noise to the input, as in Captum.
 * The scores sum to value - mean baseline value up to sampling error, which the gap shows.
 * Erion et al. 2021, https://arxiv.org/abs/1906.10670. Cost: `n_samples` forward and backward passes, and one forward
 * and backward pass for each baseline.
 */
export const expectedGradients = defineMethod({
  name: 'expected-gradients',
  summary: 'integrated gradients averaged over many baselines by sampling (GradientSHAP)',
  options: {
    n_samples: { kind: 'integer', default: 100, min: 1, help: 'points between baselines and the input' },
    stdevs: {
      kind: 'number',
      default: null,
      above: 0,
      help: 'standard deviation of noise on the input; default: none',
    },
  },
  usesBaseline: 'many',
  layers: 'as-inputs',
  async attribute(context, { n_samples, stdevs }) {
    const samples = n_samples!;
    const runner = await context.open({
      rows: 'alphas',
      manyBaselines: true,
      noise: stdevs === null ? undefined : 'absolute',
      backward: { reduction: 'times-difference' },
    });
    const target = await context.target(runner);
    const random = seededRandom(context.seed);
    const noise = seededNoise(context.seed);
    const given = baselineCount(context);
    // With fewer samples than baselines, those that take part are drawn: they may stand in some order.
    const drawn =
      given > samples ? randomOrder(given, random).slice(0, samples) : Array.from({ length: given }, (_, row) => row);
    const baselines = drawn.length;
    // Each baseline's positions are spread over [0, 1]: its k-th sample of m lies in the k-th m-th.
    const turn = Array.from({ length: samples }, (_, sample) => sample % baselines);
    const share = (at: number) => Math.ceil((samples - at) / baselines);
    const alphas = turn.map((at, sample) => (Math.floor(sample / baselines) + random()) / share(at));
    const { scores, values } = await runner.run(
      {
        alphas: [...drawn.map(() => 0), ...alphas, 1],
        // Every baseline weighs the same, however many of the samples it got.
        weights: [...drawn.map(() => 0), ...turn.map((at) => 1 / (baselines * share(at))), 0],
        baselines: [...drawn, ...turn.map((at) => drawn[at]!), 0],
        deviation: stdevs ?? 0,
        inputRow: baselines + samples,
        noise: (row, input, size) =>
          row >= baselines && row < baselines + samples ? noise(row, input, size) : new Float32Array(size),
      },
      target,
    );
    const baselineValue = values.slice(0, baselines).reduce((sum, value) => sum + value, 0) / baselines;
    return {
      scores,
      value: values.at(-1)!,
      baselineValue,
      sumsTo: 'difference',
      found: { baselines, seed: context.seed },
      ...(baselines < given
        ? { warnings: [`${baselines} of the ${given} baselines were drawn: n_samples=${given} takes all of them`] }
        : {}),
    };
  },
});
