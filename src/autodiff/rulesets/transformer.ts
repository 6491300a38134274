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

export const TRANSFORMER_RULES = { ...PRODUCT_RULES, Softmax: softmax } satisfies Readonly<Record<string, RuleEntry>>;
