/** Gradients of what transformers are made of, for onnxruntime's CPU: in fewer passes over large values. */
import { intAttribute } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import type { Rule, RuleEntry } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import { formOf } from '../rules/linear.ts';
import { PRODUCT_RULES } from './products.ts';

const isProduct = ({ operator, domain }: Node) =>
  (operator === 'MatMul' && domain === '') || (operator === 'FusedMatMul' && domain === 'com.microsoft');

/**
 * Where probabilities P are read by one product O = P V only, the sum of P dP along a row is that of O dO, which are as
 * wide as V: dS = P (dP - sum(O dO)). undefined where that is not so.
 */
function rowSums(b: GraphBuilder, probabilities: ValueName, gradient: ValueName): ValueName | undefined {
  const made = b.producer(gradient);
  if (made === undefined || !isProduct(made)) return undefined;
  const [dO, values] = made.inputs as [ValueName, ValueName];
  const form = formOf(made);
  const product = b.nodes().find((node) => {
    const own = formOf(node);
    return (
      isProduct(node) &&
      node.inputs[0] === probabilities &&
      node.inputs[1] === values &&
      !own.transA &&
      own.transB !== form.transB &&
      own.alpha === form.alpha
    );
  });
  const [dims, output] = [b.dims(probabilities), product && b.dims(product.outputs[0]!)];
  if (form.transA || product === undefined || dims === undefined || output?.length !== dims.length) return undefined;
  const rows = dims.length - 1;
  if (dims.slice(0, rows).some((dim, axis) => dim === undefined || dim !== output[axis])) return undefined;
  const [width, length] = [output[rows], dims[rows]];
  if (typeof width !== 'number' || (typeof length === 'number' && length < width)) return undefined;
  return b.sum(b.mul(product.outputs[0]!, dO), [rows]);
}

const softmax: Rule = (b, node, gradients, context) => {
  const [y, dY] = [node.outputs[0]!, gradients[0]];
  const last = dY !== undefined && b.axis(y, intAttribute(node, 'axis', -1)) === b.rank(y) - 1;
  const sums = last ? rowSums(b, y, dY) : undefined;
  if (dY === undefined || sums === undefined) return (GRADIENT_RULES.Softmax as Rule)(b, node, gradients, context);
  return [() => b.mul(y, b.sub(dY, sums))];
};

/**
 * dX = r (g - mean(g) - (x - m) r^2 cov(g, x)) with g = dY scale, mean m and r = 1 / deviation of x, which the kernel hands out:
 * what is subtracted is e x + (mean(g) - e m) with one number e per position, so no standardized x is made. Its mean is
 * known only to the rounding of x, as that of the kernel's variance.
 */
const layerNorm: Rule = (b, node, gradients, context) => {
  const otherwise = (GRADIENT_RULES.LayerNormalization as Rule)(b, node, gradients, context);
  const [x, scale] = node.inputs as [ValueName, ValueName];
  const [dY, dMean, dRstd] = gradients;
  if (dY === undefined || dMean !== undefined || dRstd !== undefined || b.type(x) !== 'float32') return otherwise;
  const input = () => {
    const first = b.axis(x, intAttribute(node, 'axis', -1));
    const axes = Array.from({ length: b.rank(x) - first }, (_, index) => first + index);
    const [m, r] = [b.siblingOutput(node.outputs[0]!, 1), b.siblingOutput(node.outputs[0]!, 2)];
    const g = b.mul(dY, scale);
    const mean = b.mean(g, axes);
    const covariance = b.sub(b.mean(b.mul(g, x), axes), b.mul(m, mean));
    const e = b.mul(covariance, b.square(r));
    return b.mul(b.sub(b.sub(g, b.mul(x, e)), b.sub(mean, b.mul(m, e))), r);
  };
  return [input, ...otherwise.slice(1)];
};

export const TRANSFORMER_RULES = {
  ...PRODUCT_RULES,
  Softmax: softmax,
  LayerNormalization: layerNorm,
} satisfies Readonly<Record<string, RuleEntry>>;
