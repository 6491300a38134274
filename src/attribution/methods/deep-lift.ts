import type { Attribution, AttributionContext } from '../../programs/index.ts';
import { baselineCount, defineMethod } from '../../programs/index.ts';
import { defineSinglePass } from './single-pass.ts';

/**
 * DeepLIFT with the Rescale rule: what each input's difference from the baseline adds to the answer's, by multipliers
 * (y - y0) / (x - x0) at every non-linearity. The scores sum to value - baseline value; the gap is rounding.
 * Products of two values, softmax, norms and quotients have exact rules (see autodiff/rulesets/deeplift.ts), where
 * Captum has none or an incomplete one. A module that is used twice is two nodes of the graph, so what
 * captum#1082 and #1104 get wrong cannot happen.
 * Known flaw: multipliers depend on how the model is written, not only on what it computes.
 * Shrikumar, Greenside & Kundaje 2017, https://arxiv.org/abs/1704.02685. Cost: two forward passes and one backward pass.
 */
export const deepLift = defineSinglePass({
  name: 'deep-lift',
  summary: 'differences from the baseline carried back by multipliers; they sum to the change of the answer',
  options: {},
  usesBaseline: true,
  sumsTo: 'difference',
  backward: () => ({ rules: { set: 'deep-lift', revealCancel: false }, reduction: 'times-difference' }),
});

/**
 * DeepLIFT with the RevealCancel rule at each non-linearity that follows a layer with weights: what came in positively
 * and negatively gets multipliers of its own, so that inputs which cancel each other are seen. Rescale elsewhere.
 * Shrikumar, Greenside & Kundaje 2017, https://arxiv.org/abs/1704.02685. Cost: about two forward and two backward passes.
 */
export const deepLiftRevealCancel = defineSinglePass({
  name: 'deep-lift-reveal-cancel',
  summary: 'deep-lift with positive and negative contributions kept apart, so that cancelling inputs are seen',
  options: {},
  usesBaseline: true,
  sumsTo: 'difference',
  backward: () => ({ rules: { set: 'deep-lift', revealCancel: true }, reduction: 'times-difference' }),
});

/**
 * DeepLIFT averaged over baselines, an estimate of SHAP values: the rows of the baseline given, or the one baseline.
 * The scores sum to value - the mean of the baselines' values.
 * Lundberg & Lee 2017, https://arxiv.org/abs/1705.07874. Cost: two forward and one backward pass for each baseline.
 */
export const deepLiftShap = defineMethod({
  name: 'deep-lift-shap',
  summary: 'deep-lift averaged over the baselines given, an estimate of SHAP values',
  options: {},
  usesBaseline: 'many',
  layers: 'as-inputs',
  attribute: averageOverBaselines,
});

async function averageOverBaselines(context: AttributionContext): Promise<Attribution> {
  const runner = await context.open({
    rows: 'alphas',
    manyBaselines: true,
    backward: { rules: { set: 'deep-lift', revealCancel: false }, reduction: 'times-difference' },
  });
  const target = await context.target(runner);
  const count = baselineCount(context);
  const rows = Array.from({ length: count }, (_, row) => row);
  const { scores, values, baselineValues } = await runner.run(
    { alphas: rows.map(() => 1), weights: rows.map(() => 1 / count), baselines: rows },
    target,
  );
  const baselineValue = baselineValues.reduce((sum, value) => sum + value, 0) / count;
  return { scores, value: values.at(-1)!, baselineValue, sumsTo: 'difference', found: { baselines: count } };
}
