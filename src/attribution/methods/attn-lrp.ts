import { defineSinglePass } from './single-pass.ts';

/**
 * LRP for transformers: products of two values (attention, gates) share equally, softmax is linearised, a norm's
 * deviation is a constant and an activation passes on what it gets. Computed as the input times an edited gradient, whose
 * sum is the answer less what biases take.
 * Achtibat et al. 2024, https://arxiv.org/abs/2402.05602. Cost: one forward and one backward pass.
 */
export const attnLrp = defineSinglePass({
  name: 'attn-lrp',
  summary: 'relevance through transformers: attention, norms and gates have rules of their own',
  options: {},
  sumsTo: 'value',
  backward: () => ({ rules: { set: 'attn-lrp' }, reduction: 'times-difference' }),
});

/**
 * As `attn-lrp`, but with attention probabilities held constant: nothing goes to queries and keys, all to values.
 * Ali et al. 2022, https://arxiv.org/abs/2202.07304. Cost: one forward and one backward pass.
 */
export const cpLrp = defineSinglePass({
  name: 'cp-lrp',
  summary: 'relevance through transformers with attention held constant: it goes to the values only',
  options: {},
  changes: { operators: ['Softmax'], what: 'softmax', otherwise: 'attn-lrp' },
  sumsTo: 'value',
  backward: () => ({ rules: { set: 'cp-lrp' }, reduction: 'times-difference' }),
});
