import { defineMethod } from '../../programs/index.ts';
import { doesNotAddUp } from './adds-up.ts';

/**
 * Important direction gradient integration: each step's change of the answer is shared by the squared gradients,
 * sum_s (f(x_s+1) - f(x_s)) g_s^2 / |g_s|^2, which takes out the noise of directions that do not change the answer.
 * The scores sum to value - baseline value, but for steps at whose start the gradient is zero: nothing can share their
 * change, and a warning says how much it is. All scores of a step have one sign.
 * Yang et al. 2023, https://arxiv.org/abs/2303.14242. Cost: `n_steps` forward and backward passes and as many forward
 * passes.
 */
export const idgi = defineMethod({
  name: 'idgi',
  summary: 'integrated gradients along the direction that matters: each step’s change shared by squared gradients',
  options: { n_steps: { kind: 'integer', default: 50, min: 1, help: 'steps from baseline to input' } },
  usesBaseline: true,
  layers: 'as-inputs',
  async attribute(context, { n_steps }) {
    const steps = n_steps!;
    const runner = await context.open({ rows: 'alphas', backward: { reduction: 'square-share' } });
    const target = await context.target(runner);
    const alphas = Array.from({ length: steps + 1 }, (_, step) => step / steps);
    const { values } = await runner.run({ alphas, weights: alphas.map(() => 0) }, target, { quietly: true });
    const changes = alphas.slice(0, -1).map((_, step) => values[step + 1]! - values[step]!);
    const { scores } = await runner.run({ alphas: alphas.slice(0, -1), weights: changes }, target);
    const [baselineValue, value] = [values[0]!, values.at(-1)!];
    return {
      scores,
      value,
      baselineValue,
      sumsTo: 'difference',
      warnings: doesNotAddUp(scores, value - baselineValue, 'of steps where the gradient is zero the change is lost'),
    };
  },
});
