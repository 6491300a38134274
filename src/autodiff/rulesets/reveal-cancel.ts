/**
 * DeepLIFT's RevealCancel: at a non-linearity f after an affine operator, what came in positively and what came in
 * negatively have multipliers of their own:
 *   dy+ = 1/2 [f(z0 + d+) - f(z0)] + 1/2 [f(z0 + d+ + d-) - f(z0 + d-)], dy- the same with d+ and d- exchanged,
 * which are the Shapley values of the two. Elsewhere Rescale holds.
 */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import type { NodeRule, Pullback, Rule, RuleEntry, RuleTable } from '../rule.ts';
import { ruleKey } from '../rule.ts';
import type { Affine } from './affine.ts';
import { affineNodes, applyAffine, transposeAffine } from './affine.ts';
import type { Scene } from './scene.ts';
import { consumersOf, movingValues, negativePart, positivePart } from './scene.ts';

const NON_LINEAR = [
  'Relu',
  'LeakyRelu',
  'Elu',
  'Selu',
  'Sigmoid',
  'Tanh',
  'Softplus',
  'Gelu',
  'HardSwish',
  'Clip',
] as const;

/** An affine operator and the only non-linearity that reads it. */
interface Pair {
  readonly affine: Affine;
  readonly activation: Node;
}

/** The entries that replace Rescale's. */
export function revealCancelRules(scene: Scene, rescale: RuleTable): Record<string, RuleEntry | undefined> {
  const moving = movingValues(scene);
  const consumers = consumersOf(scene);
  const pairs = new Map<ValueName, Pair>();
  for (const affine of affineNodes(scene).values()) {
    const [activation, ...others] = consumers.get(affine.output) ?? [];
    if (
      activation === undefined ||
      others.length > 0 ||
      !(NON_LINEAR as readonly string[]).includes(activation.operator)
    )
      continue;
    const pair = { affine, activation };
    pairs.set(affine.node.outputs[0]!, pair);
    pairs.set(affine.output, pair);
    pairs.set(activation.outputs[0]!, pair);
  }
  /** The multipliers of f travel to the affine operator, which knows what came in. */
  const hand =
    (operator: string): Rule =>
    (b, node, gradients) =>
      pairs.has(node.outputs[0]!) && gradients[0] !== undefined
        ? node.inputs.map((input) => (moving.has(input) ? () => gradients[0]! : undefined))
        : (rescale[operator] as NodeRule)(b, node, gradients);
  const affineRule =
    (operator: string): Rule =>
    (b, node, gradients) => {
      const pair = pairs.get(node.outputs[0]!);
      if (pair === undefined || gradients[0] === undefined) return (rescale[operator] as NodeRule)(b, node, gradients);
      return node.inputs.map((_, index): Pullback | undefined =>
        index === pair.affine.data ? () => revealCancel(b, scene, pair, gradients[0]!) : undefined,
      );
    };
  const entries: Record<string, RuleEntry | undefined> = {};
  for (const operator of [...NON_LINEAR, 'Add']) entries[operator] = hand(operator);
  for (const operator of ['MatMul', 'Gemm', 'Conv', 'ConvTranspose']) entries[operator] = affineRule(operator);
  return entries;
}

function revealCancel(b: GraphBuilder, { reference }: Scene, { affine, activation }: Pair, dY: ValueName): ValueName {
  const x = affine.node.inputs[affine.data]!;
  const w = affine.weight;
  const dx = b.sub(x, reference(x));
  const [up, down] = [positivePart(b, dx), negativePart(b, dx)];
  const [plus, minus] = [positivePart(b, w), negativePart(b, w)];
  const rise = b.add(applyAffine(b, affine, up, plus), applyAffine(b, affine, down, minus));
  const fall = b.add(applyAffine(b, affine, up, minus), applyAffine(b, affine, down, plus));
  const z0 = reference(affine.output);
  const f = (z: ValueName): ValueName => {
    const output = b.unusedName(`onnxray/${ruleKey(activation)}`);
    b.push({ ...activation, name: output, inputs: [z, ...activation.inputs.slice(1)], outputs: [output] });
    return output;
  };
  const [f00, f10, f01, f11] = [f(z0), f(b.add(z0, rise)), f(b.add(z0, fall)), f(b.add(z0, b.add(rise, fall)))];
  const half = b.scalar(0.5, dY);
  const change = (first: ValueName, second: ValueName) => b.mul(half, b.add(b.sub(first, f00), b.sub(f11, second)));
  const multiplier = (dy: ValueName, dz: ValueName) => {
    const moved = b.greater(b.abs(dz), b.scalar(1e-10, dz));
    return b.mul(dY, b.where(moved, b.div(dy, b.where(moved, dz, b.scalar(1, dz))), b.scalar(0, dz)));
  };
  const m1 = multiplier(change(f10, f01), rise);
  const m2 = multiplier(change(f01, f10), fall);
  const back = (weight: ValueName, g: ValueName) => transposeAffine(b, affine, x, weight, g);
  const ofRising = b.add(back(plus, m1), back(minus, m2));
  const ofFalling = b.add(back(minus, m1), back(plus, m2));
  const zero = b.scalar(0, dx);
  return b.where(b.greater(dx, zero), ofRising, b.where(b.less(dx, zero), ofFalling, zero));
}
