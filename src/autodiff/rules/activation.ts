/** Activation functions. At a kink the derivative is that of PyTorch: 0 for Relu, the lower branch otherwise. */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import { floatAttribute, stringAttribute } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { Rule } from '../rule.ts';
import { rule, unary } from '../rule.ts';

const positive = (b: GraphBuilder, x: ValueName) => b.greater(x, b.scalar(0, x));
/** dY where the condition holds, 0 elsewhere, whatever dY is there: a product with 0 would make an infinity no number. */
const gate = (b: GraphBuilder, condition: ValueName, dY: ValueName) => b.where(condition, dY, b.scalar(0, dY));
const scale = (b: GraphBuilder, factor: number, x: ValueName) => b.mul(x, b.scalar(factor, x));
/** e^x where x is not positive. Elsewhere, where nobody asks, it must not become infinite: second derivatives multiply it by 0. */
const expBelow = (b: GraphBuilder, x: ValueName) => b.exp(b.where(positive(b, x), b.scalar(0, x), x));
const oneMinus = (b: GraphBuilder, x: ValueName) => b.sub(b.scalar(1, x), x);

/**
 * d clip(x, l, h) = dx inside [l, h], both ends included, as PyTorch's clamp; the bounds get what the outside loses: h where
 * max(x, l) is beyond it, which is everywhere when l > h. Inside is where the clipped value is x itself: one comparison.
 */
const clip = rule((b, node, dY) => {
  const [x, low, high] = node.inputs;
  const outside = (condition: ValueName, bound: ValueName) => unbroadcast(b, gate(b, condition, dY), bound);
  return [
    () => gate(b, b.equal(x!, node.outputs[0]!), dY),
    low ? () => outside(high ? b.and(b.less(x!, low), b.lessOrEqual(low, high)) : b.less(x!, low), low) : undefined,
    high ? () => outside(b.greater(low ? b.op('Max', [x!, low]) : x!, high), high) : undefined,
  ];
});

// gelu' = Phi(x) + x phi(x); the tanh form differentiates its own approximation.
const gelu = unary((b, x, _y, dY, node) => {
  if (stringAttribute(node, 'approximate', 'none') === 'tanh') {
    const cubic = b.mul(b.square(x), b.scalar(0.044715, x));
    const inner = b.mul(scale(b, Math.sqrt(2 / Math.PI), x), b.add(cubic, b.scalar(1, x)));
    const t = b.tanh(inner);
    const slope = scale(b, Math.sqrt(2 / Math.PI), b.add(scale(b, 3, cubic), b.scalar(1, x)));
    const tail = b.mul(b.mul(x, oneMinus(b, b.square(t))), slope);
    return b.mul(dY, scale(b, 0.5, b.add(b.add(t, b.scalar(1, x)), tail)));
  }
  const cdf = scale(b, 0.5, b.add(b.erf(scale(b, Math.SQRT1_2, x)), b.scalar(1, x)));
  const density = scale(b, 1 / Math.sqrt(2 * Math.PI), b.exp(scale(b, -0.5, b.square(x))));
  return b.mul(dY, b.add(cdf, b.mul(x, density)));
});

// (x sigmoid(a x))' = s + a x s (1 - s)
const swish = (alpha: number) => (b: GraphBuilder, x: ValueName, dY: ValueName) => {
  const s = b.sigmoid(scale(b, alpha, x));
  return b.mul(dY, b.add(s, b.mul(scale(b, alpha, x), b.mul(s, oneMinus(b, s)))));
};

const prelu = rule((b, node, dY) => {
  const [x, slope] = [node.inputs[0]!, node.inputs[1]!];
  return [
    () => unbroadcast(b, b.where(positive(b, x), dY, b.mul(dY, slope)), x),
    () => unbroadcast(b, b.where(positive(b, x), b.scalar(0, dY), b.mul(dY, x)), slope),
  ];
});

export const activation = {
  // y > 0 where y is not 0: a cast costs less than a comparison, and x need not be kept.
  Relu: unary((b, _x, y, dY) => gate(b, b.cast(y, 'bool'), dY)),
  LeakyRelu: unary((b, x, _y, dY, node) =>
    b.where(positive(b, x), dY, scale(b, floatAttribute(node, 'alpha', 0.01), dY)),
  ),
  PRelu: prelu,
  ThresholdedRelu: unary((b, x, _y, dY, node) =>
    gate(b, b.greater(x, b.scalar(floatAttribute(node, 'alpha', 1), x)), dY),
  ),
  // elu' = 1 or alpha e^x, which is y + alpha; computed from x so that it keeps its digits for very negative x.
  Elu: unary((b, x, _y, dY, node) =>
    b.where(positive(b, x), dY, b.mul(dY, scale(b, floatAttribute(node, 'alpha', 1), expBelow(b, x)))),
  ),
  // celu' = 1 or e^(x / alpha)
  Celu: unary((b, x, _y, dY, node) =>
    b.where(positive(b, x), dY, b.mul(dY, expBelow(b, scale(b, 1 / floatAttribute(node, 'alpha', 1), x)))),
  ),
  Selu: unary((b, x, _y, dY, node) => {
    const gamma = floatAttribute(node, 'gamma', 1.0507009873554805);
    const alpha = floatAttribute(node, 'alpha', 1.6732632423543772);
    return scale(b, gamma, b.where(positive(b, x), dY, b.mul(dY, scale(b, alpha, expBelow(b, x)))));
  }),
  Sigmoid: unary((b, _x, y, dY) => b.mul(dY, b.mul(y, oneMinus(b, y)))),
  Tanh: unary((b, _x, y, dY) => b.mul(dY, oneMinus(b, b.square(y)))),
  // softplus' = sigmoid
  Softplus: unary((b, x, _y, dY) => b.mul(dY, b.sigmoid(x))),
  // (x / (1 + |x|))' = 1 / (1 + |x|)^2
  Softsign: unary((b, x, _y, dY) => b.div(dY, b.square(b.add(b.abs(x), b.scalar(1, x))))),
  HardSigmoid: unary((b, _x, y, dY, node) => {
    const inside = b.and(b.greater(y, b.scalar(0, y)), b.less(y, b.scalar(1, y)));
    return gate(b, inside, scale(b, floatAttribute(node, 'alpha', 0.2), dY));
  }),
  // x max(0, min(1, x / 6 + 1/2)): 0 up to -3, 1 from 3 on, x / 3 + 1/2 between
  HardSwish: unary((b, x, _y, dY) => {
    const middle = b.mul(dY, b.add(scale(b, 1 / 3, x), b.scalar(0.5, x)));
    return gate(b, b.greater(x, b.scalar(-3, x)), b.where(b.less(x, b.scalar(3, x)), middle, dY));
  }),
  // x tanh(softplus(x)): t + x (1 - t^2) sigmoid(x)
  Mish: unary((b, x, _y, dY) => {
    const t = b.tanh(b.op('Softplus', [x]));
    return b.mul(dY, b.add(t, b.mul(x, b.mul(oneMinus(b, b.square(t)), b.sigmoid(x)))));
  }),
  Swish: unary((b, x, _y, dY, node) => swish(floatAttribute(node, 'alpha', 1))(b, x, dY)),
  Gelu: gelu,
  Clip: clip,
  Shrink: unary((b, x, _y, dY, node) =>
    gate(b, b.greater(b.abs(x), b.scalar(floatAttribute(node, 'lambd', 0.5), x)), dY),
  ),
} satisfies Readonly<Record<string, Rule>>;
