/**
 * Layer-wise relevance propagation: what the pass carries is relevance, which each operator hands on to its inputs in
 * proportion to what they contributed. Bach et al. 2015, https://doi.org/10.1371/journal.pone.0130140;
 * Montavon et al. 2019, https://doi.org/10.1007/978-3-030-28954-6_10. Rules are named as in Zennit,
 * https://arxiv.org/abs/2106.13200.
 *
 * Operators with weights follow the chosen rule. Sums, means and average pools share by what each part adds; max-pools
 * and everything that moves elements send relevance where the values came from; activations and batch normalisation pass
 * it on. What transformers need is as in AttnLRP (https://arxiv.org/abs/2402.05602): products of two values share
 * equally, a gated activation x * f(x) passes to x, softmax is linearised, a norm's deviation is a constant.
 */
import { intAttribute } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { NodeRule, Pullback, Rule, RuleEntry, RuleTable } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import type { Affine } from './affine.ts';
import { affineNodes } from './affine.ts';
import type { LrpRule } from './lrp-affine.ts';
import { affineRelevance } from './lrp-affine.ts';
import { normRelevance } from './norms.ts';
import type { Scene } from './scene.ts';
import { isGateOf, movingValues, override, stabilize } from './scene.ts';

/** Which rule each kind of operator with weights follows. */
export interface LrpPlan {
  readonly convolution: LrpRule;
  readonly linear: LrpRule;
  /** For the first such operators after the input. */
  readonly first?: LrpRule;
  /** Of denominators. */
  readonly epsilon: number;
}

/** Activations and the like: the output's relevance is the input's. */
const PASS = [
  'Relu',
  'LeakyRelu',
  'PRelu',
  'ThresholdedRelu',
  'Elu',
  'Celu',
  'Selu',
  'Sigmoid',
  'Tanh',
  'Softplus',
  'Softsign',
  'HardSigmoid',
  'HardSwish',
  'Mish',
  'Swish',
  'Gelu',
  'Clip',
  'Shrink',
  'Exp',
  'Log',
  'Sqrt',
  'Reciprocal',
  'Erf',
  'Abs',
  'Pow',
  'Neg',
  'BatchNormalization',
  'Cast',
  'Identity',
  'Dropout',
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
] as const;

/** Linear in each input: an input's relevance is x_i sum_j d y_j / d x_i R_j / s(y_j). */
const PROPORTIONAL = [
  'Add',
  'Sub',
  'Sum',
  'Mean',
  'AveragePool',
  'GlobalAveragePool',
  'ReduceSum',
  'ReduceMean',
  'Resize',
  'CumSum',
] as const;

const pass: Rule = (_b, node, [R]) =>
  node.inputs.map((_, index) => (index === 0 && R !== undefined ? () => R : undefined));

/** `share`: in how many operands the output is linear. */
function proportional(entry: NodeRule, epsilon: number, share = 1): NodeRule {
  return (b, node, [R]) => {
    if (R === undefined) return node.inputs.map(() => undefined);
    const y = node.outputs[0]!;
    const ratio = () => b.div(R, stabilize(b, share === 1 ? y : b.mul(y, b.scalar(share, y)), epsilon));
    const pullbacks = entry(b, node, [ratio()]);
    return pullbacks.map((pullback, index): Pullback | undefined =>
      pullback === undefined ? undefined : () => b.mul(node.inputs[index]!, pullback()),
    );
  };
}

/** x_i (R_i - y_i sum R): softmax linearised at x, its bias absorbing the rest; masked places get nothing. */
const softmax: Rule = (b, node, [R]) => [
  R === undefined
    ? undefined
    : () => {
        const [x, y] = [node.inputs[0]!, node.outputs[0]!];
        const total = b.sum(R, [b.axis(y, intAttribute(node, 'axis', -1))]);
        const masked = b.less(x, b.scalar(-1e4, x));
        const shown = b.where(masked, b.scalar(0, x), x);
        return b.mul(shown, b.sub(R, b.mul(y, total)));
      },
];

/** The table for one graph. */
export function lrpRules(scene: Scene, plan: LrpPlan): RuleTable {
  const moving = movingValues(scene);
  const affine = affineNodes(scene);
  const biasSums = new Map<ValueName, Affine>();
  for (const each of affine.values()) if (each.output !== each.node.outputs[0]) biasSums.set(each.output, each);
  const { epsilon } = plan;

  const gradient = (operator: string) => GRADIENT_RULES[operator] as NodeRule;
  const linear =
    (operator: string): Rule =>
    (b, node, [R]) => {
      const found = affine.get(node.outputs[0]!);
      // Both operands depend on the input: they share equally.
      if (found === undefined) return proportional(gradient(operator), epsilon, 2)(b, node, [R]);
      const convolution = node.operator.startsWith('Conv');
      const rule = (found.first ? plan.first : undefined) ?? (convolution ? plan.convolution : plan.linear);
      return node.inputs.map((_, index): Pullback | undefined =>
        index === found.data && R !== undefined ? () => affineRelevance(b, found, rule, R, epsilon) : undefined,
      );
    };
  const add: Rule = (b, node, gradients) => {
    const owner = biasSums.get(node.outputs[0]!);
    if (owner === undefined) return proportional(gradient('Add'), epsilon)(b, node, gradients);
    // The bias belongs to the product, whose rule takes account of it.
    return node.inputs.map((input): Pullback | undefined =>
      input === owner.node.outputs[0] && gradients[0] !== undefined ? () => gradients[0]! : undefined,
    );
  };
  const mul: Rule = (b, node, [R]) => {
    if (R === undefined) return [undefined, undefined];
    const [x, y] = [node.inputs[0]!, node.inputs[1]!];
    const whole = (value: ValueName) => () => unbroadcast(b, R, value);
    const half = (value: ValueName) => () => unbroadcast(b, b.mul(R, b.scalar(0.5, R)), value);
    if (!moving.has(x)) return [undefined, whole(y)];
    if (!moving.has(y)) return [whole(x), undefined];
    if (x === y) return [half(x), half(y)];
    if (isGateOf(b, y, x, moving)) return [whole(x), undefined];
    if (isGateOf(b, x, y, moving)) return [undefined, whole(y)];
    return [half(x), half(y)];
  };
  const div: Rule = (b, node, [R]) => {
    const x = node.inputs[0]!;
    if (R === undefined) return [undefined, undefined];
    // A norm's deviation is a constant; only a quotient with a constant above hands on to what is below.
    return moving.has(x)
      ? [() => unbroadcast(b, R, x), undefined]
      : [undefined, () => unbroadcast(b, R, node.inputs[1]!)];
  };
  const entries: Record<string, RuleEntry> = {};
  for (const operator of PASS) entries[operator] = pass;
  for (const operator of PROPORTIONAL) entries[operator] = proportional(gradient(operator), epsilon);
  for (const operator of ['MatMul', 'Gemm', 'Conv', 'ConvTranspose']) entries[operator] = linear(operator);
  return override(GRADIENT_RULES, {
    ...entries,
    Add: add,
    Mul: mul,
    Div: div,
    Einsum: einsum(moving, epsilon),
    Softmax: softmax,
    LayerNormalization: norm(epsilon),
    RMSNormalization: norm(epsilon),
    InstanceNormalization: norm(epsilon),
    LpNormalization: pass,
    LRN: pass,
  });
}

const einsum =
  (moving: ReadonlySet<ValueName>, epsilon: number): Rule =>
  (b, node, gradients) => {
    const share = node.inputs.filter((input) => moving.has(input)).length;
    return proportional(GRADIENT_RULES['Einsum'] as NodeRule, epsilon, Math.max(1, share))(b, node, gradients);
  };

/** A norm with its deviation held constant is affine: x J^T (R / s(y)). */
const norm =
  (epsilon: number): Rule =>
  (b: GraphBuilder, node: Node, [R]) =>
    node.inputs.map((x, index): Pullback | undefined =>
      index === 0 && R !== undefined
        ? () => b.mul(x, normRelevance(b, node, b.div(R, stabilize(b, node.outputs[0]!, epsilon))))
        : undefined,
    );
