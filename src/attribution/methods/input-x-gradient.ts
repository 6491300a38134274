import { defineMethod } from '../method.ts';

/**
 * x * d target / dx; for tokens the dot product of embedding and gradient.
 * Exact for models that are linear in the input; elsewhere a first-order view.
 * Shrikumar et al. 2016, https://arxiv.org/abs/1605.01713. Cost: one forward and one backward pass.
 */
export const inputXGradient = defineMethod({
  name: 'input-x-gradient',
  summary: 'input times gradient: each input’s share of a linear view of the answer',
  options: {},
  usesBaseline: false,
  reduction: () => 'times-difference',
  async attribute({ runner, target }) {
    const { scores, values } = await runner.run({ alphas: [1], weights: [1] }, target);
    return { scores, value: values[0]!, baselineValue: null, complete: false };
  },
});
