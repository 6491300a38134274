/**
 * AttnLRP as an edited gradient, whose product with the input is the relevance: a norm's deviation is a constant, an
 * activation's slope is f(x) / x, products of two values that both depend on the input send half to each.
 * Achtibat et al. 2024, https://arxiv.org/abs/2402.05602. CP-LRP instead holds attention probabilities constant:
 * Ali et al. 2022, https://arxiv.org/abs/2202.07304.
 */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import type { NodeRule, Pullback, Rule, RuleEntry, RuleTable } from '../rule.ts';
import { rule } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import { normRelevance } from './norms.ts';
import type { Scene } from './scene.ts';
import { isGateOf, movingValues, override, stabilize } from './scene.ts';

/** f(x) / x in place of f'(x). */
const secant: Rule = rule((b, node, dY) => {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  return node.inputs.map((_, index): Pullback | undefined =>
    index === 0 ? () => b.mul(dY, b.div(y, stabilize(b, x, 1e-10))) : undefined,
  );
});

const ACTIVATIONS = [
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
] as const;

const norm: Rule = rule((b, node, dY) =>
  node.inputs.map((_, index): Pullback | undefined => (index === 0 ? () => normRelevance(b, node, dY) : undefined)),
);

/** Operators between a softmax and the product with the values. */
const BETWEEN = new Set(['Cast', 'Dropout', 'Identity', 'Reshape', 'Where', 'Transpose']);

function comesFromSoftmax(b: GraphBuilder, value: ValueName): boolean {
  const node = b.producer(value);
  if (node === undefined) return false;
  if (node.operator === 'Softmax') return true;
  return BETWEEN.has(node.operator) && node.inputs.some((input) => comesFromSoftmax(b, input));
}

export function attnLrpRules(scene: Scene, { constantAttention }: { readonly constantAttention: boolean }): RuleTable {
  const moving = movingValues(scene);
  const gradient = (operator: string) => GRADIENT_RULES[operator] as NodeRule;
  const isBilinear = (inputs: readonly ValueName[]) => inputs.filter((input) => moving.has(input)).length > 1;
  const halved =
    (operator: string): NodeRule =>
    (b, node, [dY]) => {
      if (dY === undefined || !isBilinear(node.inputs)) return gradient(operator)(b, node, [dY]);
      if (constantAttention) {
        const held = node.inputs.map((input) => comesFromSoftmax(b, input));
        if (held.some(Boolean))
          return gradient(operator)(b, node, [dY]).map((pullback, index) => (held[index] ? undefined : pullback));
      }
      return gradient(operator)(b, node, [b.mul(dY, b.scalar(0.5, dY))]);
    };
  const mul: Rule = (b, node, [dY]) => {
    const [x, y] = [node.inputs[0]!, node.inputs[1]!];
    if (dY === undefined || !isBilinear(node.inputs)) return gradient('Mul')(b, node, [dY]);
    const pullbacks = gradient('Mul')(b, node, [dY]);
    if (x !== y && isGateOf(b, y, x, moving)) return [pullbacks[0], undefined];
    if (x !== y && isGateOf(b, x, y, moving)) return [undefined, pullbacks[1]];
    return halved('Mul')(b, node, [dY]);
  };
  // A norm's deviation, below the line, is a constant.
  const div: Rule = (b, node, [dY]) => {
    const pullbacks = gradient('Div')(b, node, [dY]);
    return moving.has(node.inputs[0]!) ? [pullbacks[0], undefined] : pullbacks;
  };
  const entries: Record<string, RuleEntry> = {};
  for (const operator of ACTIVATIONS) entries[operator] = secant;
  return override(GRADIENT_RULES, {
    ...entries,
    MatMul: halved('MatMul'),
    Einsum: halved('Einsum'),
    Mul: mul,
    Div: div,
    LayerNormalization: norm,
    RMSNormalization: norm,
    InstanceNormalization: norm,
  });
}
