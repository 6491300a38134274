import { defineSinglePass } from './single-pass.ts';

/**
 * Deconvolution: backwards through a ReLU goes what is positive, g 1[g > 0], whatever the input was; max-pools use the
 * recorded positions. Where windows overlap values add up, as in the gradient (the paper's do not overlap).
 * Known flaw: as guided backpropagation, it hardly depends on the class.
 * Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901. Cost: one forward and one backward pass.
 */
export const deconvnet = defineSinglePass({
  name: 'deconvnet',
  summary: 'what a deconvolutional network projects back: ReLUs act on the signal going backwards',
  options: {},
  changes: { operators: ['Relu', 'Clip'], what: 'ReLU', otherwise: 'saliency with signed=true' },
  backward: () => ({ rules: { set: 'deconvnet' }, reduction: 'signed' }),
});
