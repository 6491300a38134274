import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import type { NodeRule, RuleTable } from '../rule.ts';
import { rule } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import { override, positivePart } from './scene.ts';

/** Of a Clip from 0 up (ReLU6) the lower bound is a ReLU's. */
function startsAtZero(b: GraphBuilder, low: ValueName | undefined): boolean {
  return low !== undefined && low !== '' && b.numbers(low)?.[0] === 0;
}

const clipGradient = GRADIENT_RULES['Clip'] as NodeRule;

/**
 * Guided backpropagation: through a ReLU goes what is positive, where the input was: g 1[g > 0] 1[x > 0].
 * Springenberg et al. 2015, https://arxiv.org/abs/1412.6806.
 */
export const GUIDED_RULES: RuleTable = override(GRADIENT_RULES, {
  Relu: (b, node, [dY]) => (GRADIENT_RULES['Relu'] as NodeRule)(b, node, [dY && positivePart(b, dY)]),
  Clip: (b, node, [dY]) => clipGradient(b, node, [dY && startsAtZero(b, node.inputs[1]) ? positivePart(b, dY) : dY]),
});

/**
 * Deconvolution: through a ReLU goes what is positive, wherever the input was: g 1[g > 0]. Max-pooling sends values back
 * to where its maxima were, the switches of the paper; where windows overlap their values add up.
 * Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901.
 */
export const DECONVNET_RULES: RuleTable = override(GRADIENT_RULES, {
  Relu: rule((b, _node, dY) => [() => positivePart(b, dY)]),
  Clip: rule((b, node, dY) =>
    startsAtZero(b, node.inputs[1]) ? [() => positivePart(b, dY), undefined, undefined] : clipGradient(b, node, [dY]),
  ),
});
