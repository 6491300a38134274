import { drawNumbers, normalRandom, seededRandom } from '../../inputs/core.ts';
import { defineMethod } from '../../programs/index.ts';
import { baselineCount } from './deep-lift.ts';

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
    const normal = normalRandom(random);
    const baselines = baselineCount(context);
    const known = Array.from({ length: baselines }, (_, row) => row);
    // Each baseline's positions are spread over [0, 1]: its k-th sample of m lies in the k-th m-th.
    const order = Array.from({ length: samples }, (_, sample) => sample % baselines);
    const share = (row: number) => Math.ceil((samples - row) / baselines);
    const alphas = order.map((row, sample) => (Math.floor(sample / baselines) + random()) / share(row));
    const { scores, values } = await runner.run(
      {
        alphas: [...known.map(() => 0), ...alphas, 1],
        weights: [...known.map(() => 0), ...order.map(() => 1 / samples), 0],
        baselines: [...known, ...order, 0],
        deviation: stdevs ?? 0,
        inputRow: baselines + samples,
        noise: (row, _input, size) =>
          row >= baselines && row < baselines + samples ? drawNumbers(size, normal) : new Float32Array(size),
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
    };
  },
});
