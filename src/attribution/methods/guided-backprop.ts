import { defineSinglePass } from './single-pass.ts';

/**
 * The gradient with only positive values let through each ReLU: g 1[g > 0] 1[x > 0]. Activations other than ReLU and
 * ReLU6 have their gradient. For tokens the sum over the embedding's axis.
 * Known flaw: close to an edge detector, and hardly depends on the later weights or the class
 * (Adebayo et al. 2018, https://arxiv.org/abs/1810.03292).
 * Springenberg et al. 2015, https://arxiv.org/abs/1412.6806. Cost: one forward and one backward pass.
 */
export const guidedBackprop = defineSinglePass({
  name: 'guided-backprop',
  summary: 'the gradient with only positive values let through each ReLU',
  options: {},
  changes: { operators: ['Relu', 'Clip'], what: 'ReLU', otherwise: 'saliency with signed=true' },
  backward: () => ({ rules: { set: 'guided' }, reduction: 'signed' }),
});
