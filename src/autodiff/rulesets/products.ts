/**
 * Matrix products for onnxruntime's CPU, as FusedMatMul, which reads its operands transposed and scales what it gives. Left to
 * itself onnxruntime fuses little of what attention's gradient transposes: it merges the exchange of the last two axes with
 * that of the heads beside it, into a transpose that is several times slower than either.
 */
import { GraphBuilder, float, int, intsAttribute, pruneModel } from '../../onnx/index.ts';
import type { Model, Node, ValueName } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { Rule, RuleEntry } from '../rule.ts';
import { rule } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import type { Product, ProductForm } from '../rules/linear.ts';
import { fusedMatMul, matmulRight, productGradients } from '../rules/linear.ts';
import { readerCounts } from './scene.ts';

const attributes = ({ transA = false, transB = false, alpha = 1 }: ProductForm) => ({
  transA: transA ? int(1) : undefined,
  transB: transB ? int(1) : undefined,
  alpha: alpha === 1 ? undefined : float(alpha),
});

export const product: Product = (b, left, right, form) =>
  b.op('com.microsoft::FusedMatMul', [left, right], attributes(form));

/** The kernel is of float32, and takes matrices. */
export const isFusable = (b: GraphBuilder, { inputs }: Node): boolean =>
  inputs.every((name) => b.type(name) === 'float32' && (b.dims(name)?.length ?? 0) >= 2);

const matmul: Rule = (b, node, gradients, context) => {
  if (!isFusable(b, node)) return (GRADIENT_RULES.MatMul as Rule)(b, node, gradients, context);
  return rule((_, __, dY) => {
    const [a, c] = [node.inputs[0]!, node.inputs[1]!];
    const [left, right] = productGradients(b, { a, c, dY }, {}, product);
    const shared = b.rank(c) === 2 && b.rank(a) > 2;
    return [
      () => unbroadcast(b, left(), a),
      shared ? () => matmulRight(b, a, c, dY) : () => unbroadcast(b, right(), c),
    ];
  })(b, node, gradients, context);
};

export const PRODUCT_RULES = {
  MatMul: matmul,
  'com.microsoft::FusedMatMul': fusedMatMul(product),
} satisfies Readonly<Record<string, RuleEntry>>;

/**
 * The model with what attention's products read transposed or scaled by a constant taken into them: q and k are scaled by
 * products of their own, k is transposed twice. `kept` names values that must stay to be seen.
 */
export function fuseProducts(model: Model, kept: readonly ValueName[]): Model {
  if (!model.graph.nodes.some(({ operator }) => operator === 'MatMul')) return model;
  const readers = readerCounts(model, kept);
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, nodes: [] } });
  b.reserve(model.graph.nodes);
  const isAlone = (value: ValueName) => readers.get(value) === 1;
  for (const node of model.graph.nodes) b.push(isOfValues(b, node) ? fused(b, node, isAlone) : node);
  return pruneModel(b.build());
}

/** A product without a weight: what is before that is often fused into something better, as the half in a GELU. */
const isOfValues = (b: GraphBuilder, node: Node) =>
  node.operator === 'MatMul' &&
  node.domain === '' &&
  isFusable(b, node) &&
  !node.inputs.some((name) => b.isConstant(name));

function fused(b: GraphBuilder, node: Node, isAlone: (value: ValueName) => boolean): Node {
  const [left, right] = node.inputs.map((name) => operand(b, name, isAlone)) as [Operand, Operand];
  const alpha = Math.fround(left.factor * right.factor);
  if (!left.turned && !right.turned && alpha === 1) return node;
  const made = attributes({ transA: left.turned, transB: right.turned, alpha });
  const given = Object.entries(made).filter((entry): entry is [string, NonNullable<(typeof entry)[1]>] => !!entry[1]);
  const scope = `${node.outputs[0]!}/onnxray`;
  const inputs = [left, right].map(({ value, perm }) =>
    perm === undefined ? value : b.within(scope, () => b.transpose(value, perm)),
  );
  b.importDomain('com.microsoft');
  return { ...node, operator: 'FusedMatMul', domain: 'com.microsoft', inputs, attributes: Object.fromEntries(given) };
}

interface Operand {
  /** What is read instead, after `perm` where that is given. */
  readonly value: ValueName;
  readonly perm?: readonly number[];
  /** Whether the product exchanges its last two axes. */
  readonly turned: boolean;
  readonly factor: number;
}

/** What a product reads, without constant factors and the exchange of the last two axes. */
function operand(b: GraphBuilder, whole: ValueName, isAlone: (value: ValueName) => boolean): Operand {
  let value = whole;
  let perm: readonly number[] | undefined;
  let factor = 1;
  for (let node = b.producer(value); node !== undefined && isAlone(value); node = b.producer(value)) {
    const own = node.domain === '' ? intsAttribute(node, 'perm') : undefined;
    const scale = node.domain === '' && node.operator === 'Mul' ? scaling(b, node) : undefined;
    if (node.operator === 'Transpose' && own !== undefined && perm === undefined)
      [value, perm] = [node.inputs[0]!, own];
    else if (scale !== undefined) [value, factor] = [scale.value, factor * scale.factor];
    else break;
  }
  if (perm === undefined) return { value, turned: false, factor };
  // Where the matrices' rows come from behind their columns, they are exchanged by the product.
  const turned = perm.at(-1)! < perm.at(-2)!;
  const rest = turned ? [...perm.slice(0, -2), perm.at(-1)!, perm.at(-2)!] : perm;
  return { value, turned, factor, ...(rest.every((axis, at) => axis === at) ? {} : { perm: rest }) };
}

/** Of a product with a constant of one element the other factor, where it has the product's shape. */
function scaling(b: GraphBuilder, { inputs, outputs }: Node): { value: ValueName; factor: number } | undefined {
  for (const [at, name] of inputs.entries()) {
    const factor = constantNumber(b, name);
    const value = inputs[1 - at]!;
    if (factor !== undefined && factor !== 0 && b.dims(value)?.length === b.dims(outputs[0]!)?.length)
      return { value, factor };
  }
  return undefined;
}

/** The number that a constant of one element is, or what the root of the heads' width is worked out by. */
function constantNumber(b: GraphBuilder, value: ValueName): number | undefined {
  const known = b.numbers(value);
  if (known !== undefined) return known.length === 1 ? known[0] : undefined;
  const node = b.producer(value);
  if (node === undefined || node.domain !== '') return undefined;
  const number = (index: number) => constantNumber(b, node.inputs[index]!);
  if (node.operator === 'Cast') return b.type(value) === 'float32' ? number(0) : undefined;
  const [x, y] = [number(0), node.operator === 'Div' ? number(1) : 1];
  if (x === undefined || y === undefined || b.type(value) !== 'float32') return undefined;
  if (node.operator === 'Sqrt') return Math.fround(Math.sqrt(x));
  return node.operator === 'Div' ? Math.fround(x / y) : undefined;
}
