import { defineSinglePass } from './single-pass.ts';

/**
 * x * d target / dx; for tokens the dot product of embedding and gradient.
 * Exact for models that are linear in the input; elsewhere a first-order view.
 * Shrikumar et al. 2016, https://arxiv.org/abs/1605.01713. Cost: one forward and one backward pass.
 */
export const inputXGradient = defineSinglePass({
  name: 'input-x-gradient',
  summary: 'input times gradient: each input’s share of a linear view of the answer',
  options: {},
  backward: () => ({ reduction: 'times-difference' }),
});
