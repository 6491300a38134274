/** What operators of ai.onnx.ml make of their scores at the end: the attribute post_transform. */
import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';
import { stringAttribute } from '../model.ts';

/** The scores [batch, classes] as the node's post_transform leaves them; undefined for one that is not in the standard. */
export function transformed(b: GraphBuilder, node: Node, x: ValueName): ValueName | undefined {
  switch (stringAttribute(node, 'post_transform', 'NONE')) {
    case 'NONE':
      return x;
    case 'LOGISTIC':
      return b.sigmoid(x);
    case 'SOFTMAX':
      return b.softmax(x, -1);
    case 'SOFTMAX_ZERO':
      return softmaxOfNonzero(b, x);
    case 'PROBIT':
      return probit(b, x);
    default:
      return undefined;
  }
}

/** A softmax over the scores that are not zero; zeros stay zero. */
function softmaxOfNonzero(b: GraphBuilder, x: ValueName): ValueName {
  const largest = b.max(x, [1]);
  const counted = b.greater(b.abs(x), b.scalar(1e-7, x));
  const exponential = b.exp(b.sub(x, largest));
  const total = b.sum(b.where(counted, exponential, b.scalar(0, x)), [1]);
  return b.div(b.where(counted, exponential, b.mul(x, b.exp(b.neg(largest)))), total);
}

/** The standard normal's quantile of a probability, by the approximation of erf's inverse that onnxruntime has (Winitzki 2008). */
function probit(b: GraphBuilder, x: ValueName): ValueName {
  const number = (value: number) => b.scalar(value, x);
  const y = b.sub(b.mul(x, number(2)), number(1));
  const logarithm = b.log(b.sub(number(1), b.square(y)));
  const half = b.add(b.mul(logarithm, number(0.5)), number(2 / (Math.PI * 0.147)));
  const root = b.sqrt(b.sub(b.square(half), b.mul(logarithm, number(1 / 0.147))));
  return b.mul(b.mul(b.sign(y), b.sqrt(b.sub(root, half))), number(Math.SQRT2));
}
