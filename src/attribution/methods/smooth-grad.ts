import { seededNoise } from '../../inputs/core.ts';
import { UsageError } from '../../onnx/index.ts';
import type { Scores } from '../../explanation/index.ts';
import type { Attribution, AttributionContext, Method, OptionsOf } from '../../programs/index.ts';
import { defineMethod, numbers, readOptions } from '../../programs/index.ts';

/** The paper: noise of 10 to 20 percent of the range of the input. */
const RELATIVE_DEVIATION = 0.15;

const OPTIONS = {
  of: { kind: 'text', default: 'saliency', help: 'the method to average: one of a single backward pass' },
  nt_samples: { kind: 'integer', default: 25, min: 2, help: 'noisy copies of the input' },
  stdevs: {
    kind: 'number',
    default: null,
    above: 0,
    help: `standard deviation of the noise; default: ${RELATIVE_DEVIATION} of the input's range`,
  },
} as const;

/** Of the scores over the noisy copies: their mean and their variance, by input. */
type Moments = Readonly<Record<string, { readonly mean: Scores; readonly variance: Scores | undefined }>>;

/**
 * Wrappers that put Gaussian noise on the input (on the embedding, for tokens) and combine what a method of a single
 * backward pass scores on each copy. All copies are rows of one program. Options as in Captum's NoiseTunnel, whose noise
 * has standard deviation 1 unless said; here it is 0.15 of the input's range, as in the paper.
 * Known flaw: the result depends on the amount of noise. Cost: `nt_samples` forward and backward passes.
 */
export function noiseWrappers(find: (name: string) => Method): readonly Method[] {
  const define = (name: string, summary: string, combine?: (mean: number, variance: number) => number) =>
    defineMethod({
      name,
      summary,
      options: OPTIONS,
      usesBaseline: true,
      layers: 'none',
      async attribute(context, options) {
        const { moments, value, usesBaseline } = await noisyMoments(context, options, combine !== undefined, find);
        const scores = Object.fromEntries(
          Object.entries(moments).map(([input, { mean, variance }]) => [
            input,
            variance === undefined ? mean : joined(mean, variance, combine!),
          ]),
        );
        return {
          scores,
          value,
          baselineValue: null,
          sumsTo: null,
          comparesWithBaseline: usesBaseline,
          found: {
            seed: context.seed,
            ...(options.stdevs === null ? { relativeStdevs: RELATIVE_DEVIATION } : {}),
          },
        } satisfies Attribution;
      },
    });
  return [
    /** Mean of the scores. Smilkov et al. 2017, https://arxiv.org/abs/1706.03825. */
    define('smooth-grad', 'a method averaged over noisy copies of the input'),
    /** Mean of their squares. Hooker et al. 2019, https://arxiv.org/abs/1806.10758. */
    define(
      'smooth-grad-squared',
      'mean of a method’s squared scores over noisy copies',
      (mean, variance) => mean * mean + variance,
    ),
    /** Their variance (divided by the number of copies). Adebayo et al. 2018, https://arxiv.org/abs/1810.03307. */
    define('var-grad', 'variance of a method’s scores over noisy copies', (_, variance) => variance),
  ];
}

function joined(mean: Scores, variance: Scores, combine: (mean: number, variance: number) => number): Scores {
  const data = new Float64Array(mean.data.length);
  for (let at = 0; at < data.length; at++) data[at] = combine(mean.data[at]!, variance.data[at]!);
  return { dims: mean.dims, data };
}

async function noisyMoments(
  context: AttributionContext,
  { of, nt_samples, stdevs }: OptionsOf<typeof OPTIONS>,
  spread: boolean,
  find: (name: string) => Method,
): Promise<{ moments: Moments; value: number; usesBaseline: boolean }> {
  const method = find(of);
  if (method.singlePass === undefined)
    throw new UsageError(
      `option of must name a method of a single backward pass, such as saliency; "${of}" is not one`,
    );
  const backward = { ...method.singlePass.backward(readOptions(of, method.options, {})), spread };
  if (stdevs === null) checkRange(context);
  const runner = await context.open({
    rows: 'alphas',
    noise: stdevs === null ? 'relative' : 'absolute',
    comparesWithBaseline: method.usesBaseline !== false,
    backward,
  });
  const target = await context.target(runner);
  const draw = seededNoise(context.seed);
  const samples = nt_samples!;
  // The input itself rides along with weight 0, for its value.
  const result = await runner.run(
    {
      weights: [...Array<number>(samples).fill(1 / samples), 0],
      noise: (row, input, size) => (row === samples ? new Float32Array(size) : draw(row, input, size)),
      deviation: stdevs ?? RELATIVE_DEVIATION,
      inputRow: samples,
    },
    target,
  );
  const moments = Object.fromEntries(
    Object.entries(result.scores).map(([input, mean]) => [input, { mean, variance: result.variances[input] }]),
  );
  return { moments, value: result.values.at(-1)!, usesBaseline: method.usesBaseline !== false };
}

/** Noise that is a part of the input's range is none where the input is the same everywhere. */
function checkRange({ features, inputs }: AttributionContext): void {
  for (const { kind, input } of features) {
    if (kind !== 'elements') continue;
    const values = numbers(inputs[input]!);
    if (values.every((value) => value === values[0]))
      throw new UsageError(
        `input "${input}" is ${values[0]} everywhere, so noise in proportion to its range is none: give --option stdevs=NUMBER`,
      );
  }
}
