/** Activations made of straight pieces, in blocks: hard sigmoid and hard swish, as in MobileNetV3. */
import { floatAttribute } from '../../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import { HUGE, affine, enter, stays, step } from './blocked-layout.ts';

/** min(high, max(low, factor x + shift)), which onnxruntime computes in one pass, as a convolution and its activation. */
function cut(b: GraphBuilder, x: ValueName, line: readonly [number, number], bounds: readonly [number, number]) {
  const [low, high] = bounds.map((bound) => b.constant('float32', [], [bound])) as [ValueName, ValueName];
  return b.op('Clip', [affine(b, x, ...line), low, high], {}, { dims: b.dims(x) });
}

/** alpha where y is neither 0 nor 1. The product with alpha comes last: a mask's own is so large that another's is infinite. */
export const hardSigmoid: Rule = (b, node, gradients, context) => {
  const [y, dY] = [node.outputs[0]!, gradients[0]];
  if (dY === undefined || !stays(b, y)) return (GRADIENT_RULES['HardSigmoid'] as Rule)(b, node, gradients, context);
  const inside = () => b.mul(step(b, y, 1, 0), step(b, y, -1, 1));
  return [() => affine(b, b.mul(enter(b, dY), inside()), floatAttribute(node, 'alpha', 0.2))];
};

/**
 * The slope is x / 3 + 1 / 2 from -3 to 3, 0 below and 1 above. Cut at the ends, that line stays at -1 / 2 below and at 3 / 2 above:
 * times 0 there and times 2 / 3 here it is the slope, in products alone.
 */
export const hardSwish: Rule = (b, node, gradients, context) => {
  const [x, dY] = [node.inputs[0]!, gradients[0]];
  if (dY === undefined || !stays(b, x)) return (GRADIENT_RULES['HardSwish'] as Rule)(b, node, gradients, context);
  const slope = () => {
    const line = cut(b, x, [1 / 3, 1 / 2], [-1 / 2, 3 / 2]);
    const above = cut(b, x, [-HUGE, 3 * HUGE], [2 / 3, 1]);
    return b.mul(b.mul(line, step(b, x, 1, 3)), above);
  };
  return [() => b.mul(enter(b, dY), slope())];
};
