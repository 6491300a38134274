import { drawNumbers, normalRandom, seededRandom } from '../../inputs/core.ts';
import { UsageError } from '../../onnx/index.ts';
import type { Scores } from '../../explanation/index.ts';
import type { Attribution, AttributionContext, Method, OptionsOf } from '../../programs/index.ts';
import { defineMethod, readOptions } from '../../programs/index.ts';

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

type Moments = Readonly<Record<string, { readonly mean: Scores; readonly meanSquare: Scores | undefined }>>;

/**
 * Wrappers that put Gaussian noise on the input (on the embedding, for tokens) and combine what a method of a single
 * backward pass scores on each copy. All copies are rows of one program. Options as in Captum's NoiseTunnel, whose noise
 * has standard deviation 1 unless said; here it is 0.15 of the input's range, as in the paper.
 * Known flaw: the result depends on the amount of noise. Cost: `nt_samples` forward and backward passes.
 */
export function noiseWrappers(find: (name: string) => Method): readonly Method[] {
  const define = (
    name: string,
    summary: string,
    squares: boolean,
    combine: (mean: number, meanSquare: number, count: number) => number,
  ) =>
    defineMethod({
      name,
      summary,
      options: OPTIONS,
      usesBaseline: true,
      layers: 'none',
      async attribute(context, options) {
        const { moments, value, count, usesBaseline } = await noisyMoments(context, options, squares, find);
        const scores = Object.fromEntries(
          Object.entries(moments).map(([input, { mean, meanSquare }]) => [
            input,
            {
              dims: mean.dims,
              data: Float64Array.from(mean.data, (each, index) => combine(each, meanSquare?.data[index] ?? 0, count)),
            },
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
    define('smooth-grad', 'a method averaged over noisy copies of the input', false, (mean) => mean),
    /** Mean of their squares. Hooker et al. 2019, https://arxiv.org/abs/1806.10758. */
    define('smooth-grad-squared', 'mean of a method’s squared scores over noisy copies', true, (_, square) => square),
    /** Their variance (divided by the number of copies). Adebayo et al. 2018, https://arxiv.org/abs/1810.03307. */
    define('var-grad', 'variance of a method’s scores over noisy copies', true, (mean, square) =>
      Math.max(0, square - mean * mean),
    ),
  ];
}

async function noisyMoments(
  context: AttributionContext,
  { of, nt_samples, stdevs }: OptionsOf<typeof OPTIONS>,
  squares: boolean,
  find: (name: string) => Method,
): Promise<{ moments: Moments; value: number; count: number; usesBaseline: boolean }> {
  const method = find(of);
  if (method.singlePass === undefined)
    throw new UsageError(
      `option of must name a method of a single backward pass, such as saliency; "${of}" is not one`,
    );
  const backward = { ...method.singlePass.backward(readOptions(of, method.options, {})), squares };
  const runner = await context.open({
    rows: 'alphas',
    noise: stdevs === null ? 'relative' : 'absolute',
    backward,
  });
  const target = await context.target(runner);
  const draw = normalRandom(seededRandom(context.seed));
  const samples = nt_samples!;
  // The input itself rides along with weight 0, for its value.
  const result = await runner.run(
    {
      weights: [...Array<number>(samples).fill(1 / samples), 0],
      noise: (row, _input, size) => (row === samples ? new Float32Array(size) : drawNumbers(size, draw)),
      deviation: stdevs ?? RELATIVE_DEVIATION,
      inputRow: samples,
    },
    target,
  );
  const moments = Object.fromEntries(
    Object.entries(result.scores).map(([input, mean]) => [input, { mean, meanSquare: result.squares[input] }]),
  );
  return { moments, value: result.values.at(-1)!, count: samples, usesBaseline: method.usesBaseline !== false };
}
