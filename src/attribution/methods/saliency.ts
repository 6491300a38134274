import { defineSinglePass } from './single-pass.ts';

/**
 * |d target / d input|: how fast the answer changes with each input. For tokens the Euclidean norm of the gradient
 * over the embedding's axis. `signed` keeps the sign (for tokens, the sum over the axis).
 * Simonyan, Vedaldi & Zisserman 2014, https://arxiv.org/abs/1312.6034. Cost: one forward and one backward pass.
 */
export const saliency = defineSinglePass({
  name: 'saliency',
  summary: 'how fast the answer changes with each input: the gradient',
  options: { signed: { kind: 'boolean', default: false, help: 'keep the sign of the gradient' } },
  backward: ({ signed }) => ({ reduction: signed ? 'signed' : 'magnitude' }),
});
