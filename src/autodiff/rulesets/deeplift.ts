/**
 * DeepLIFT: multipliers instead of gradients. For an operator y of x with reference values y0 and x0 the multipliers m
 * satisfy sum m (x - x0) = y - y0, so that the scores m (x - x0) of the inputs sum to the change of the answer.
 * Shrikumar, Greenside & Kundaje 2017, https://arxiv.org/abs/1704.02685.
 *
 * Beyond the paper, so that transformers sum up too: products of two values split symmetrically, dA mean(V) + mean(A) dV;
 * softmax, log-softmax, quotients and norms are taken apart into sums, products and functions of one variable. Captum
 * has no rule for these (attention products, norms), and its softmax rule loses completeness where the input differences
 * do not sum to 0; results differ there on purpose.
 */
import { UserError, intAttribute, nodeLabel } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { NodeRule, Pullback, Rule, RuleEntry, RuleTable } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import type { Norm } from './norms.ts';
import { centreBack, normParts, readNorm } from './norms.ts';
import { revealCancelRules } from './reveal-cancel.ts';
import type { Scene } from './scene.ts';
import { movingValues, override } from './scene.ts';

/** Differences smaller than this count as none: the gradient stands in for their quotient. As in Captum. */
const SMALL = 1e-10;

const UNARY = [
  'Abs',
  'Celu',
  'Clip',
  'Cos',
  'Cosh',
  'Elu',
  'Erf',
  'Exp',
  'Gelu',
  'HardSigmoid',
  'HardSwish',
  'LeakyRelu',
  'Log',
  'Mish',
  'PRelu',
  'Reciprocal',
  'Relu',
  'Selu',
  'Shrink',
  'Sigmoid',
  'Sin',
  'Sinh',
  'Softplus',
  'Softsign',
  'Sqrt',
  'Swish',
  'Tan',
  'Tanh',
  'ThresholdedRelu',
  'Acos',
  'Acosh',
  'Asin',
  'Asinh',
  'Atan',
  'Atanh',
] as const;

/** Operators that are neither linear, nor of one variable, nor taken apart here: they have no multipliers. */
const NONE = [
  'GroupNormalization',
  'LpNormalization',
  'LRN',
  'ReduceL1',
  'ReduceL2',
  'ReduceLogSum',
  'ReduceProd',
  'ReduceSumSquare',
  'Mod',
] as const;

const gradient = (operator: string) => GRADIENT_RULES[operator] as NodeRule;
const mean = (b: GraphBuilder, x: ValueName, x0: ValueName) => (x === x0 ? x : b.mul(b.scalar(0.5, x), b.add(x, x0)));

/** (y - y0) / (x - x0), or `slope` where x is x0. */
function quotient(
  b: GraphBuilder,
  [x, x0]: readonly [ValueName, ValueName],
  [y, y0]: readonly [ValueName, ValueName],
  slope: ValueName,
): ValueName {
  const dx = b.sub(x, x0);
  const moved = b.greater(b.abs(dx), b.scalar(SMALL, dx));
  return b.where(moved, b.div(b.sub(y, y0), b.where(moved, dx, b.scalar(1, dx))), slope);
}

export function deepLiftRules(scene: Scene, { revealCancel }: { readonly revealCancel: boolean }): RuleTable {
  const moving = movingValues(scene);
  const { reference } = scene;
  const both = (value: ValueName): readonly [ValueName, ValueName] => [value, reference(value)];
  const bothMove = (node: Node) => node.inputs.filter((input) => moving.has(input)).length > 1;

  /** Rescale: a function of one variable. */
  const rescale =
    (operator: string): NodeRule =>
    (b, node, [dY]) => {
      if (dY === undefined) return [undefined];
      const ones = b.onesLike(node.outputs[0]!);
      return node.inputs.map((x, index): Pullback | undefined =>
        index === 0 && moving.has(x)
          ? () => b.mul(dY, quotient(b, both(x), both(node.outputs[0]!), gradient(operator)(b, node, [ones])[0]!()))
          : undefined,
      );
    };
  /** Linear in each operand: the other stands at the mean of its value and its reference. */
  const bilinear =
    (operator: string): NodeRule =>
    (b, node, [dY]) => {
      if (!bothMove(node)) return gradient(operator)(b, node, [dY]);
      if (node.inputs.length > 2)
        throw new UserError(`${operator} "${nodeLabel(node)}" of more than two values has no DeepLIFT rule`);
      const inputs = node.inputs.map((value) => mean(b, ...both(value)));
      return gradient(operator)(b, { ...node, inputs }, [dY]);
    };
  /** x / y as the product of x and 1 / y, whose change is exactly -dy / (y y0). */
  const div: Rule = (b, node, [dY]) => {
    const [x, y] = [node.inputs[0]!, node.inputs[1]!];
    if (dY === undefined || !moving.has(y)) return gradient('Div')(b, node, [dY]);
    const [[, x0], [, y0]] = [both(x), both(y)];
    const inverse = mean(b, b.reciprocal(y), b.reciprocal(y0));
    return [
      () => unbroadcast(b, b.mul(dY, inverse), x),
      () => unbroadcast(b, b.neg(b.div(b.mul(dY, mean(b, x, x0)), b.mul(y, y0))), y),
    ];
  };
  const pow: Rule = (b, node, gradients) => {
    if (moving.has(node.inputs[1]!))
      throw new UserError(`Pow "${nodeLabel(node)}" with a computed exponent has no DeepLIFT rule`);
    return rescale('Pow')(b, node, gradients);
  };
  /** max(x, y) = (x + y + |x - y|) / 2, min with a minus. */
  const extreme =
    (sign: 1 | -1): Rule =>
    (b, node, [dY]) => {
      const [x, y] = [node.inputs[0]!, node.inputs[1]!];
      if (dY === undefined || node.inputs.length === 1) return [dY === undefined ? undefined : () => dY];
      if (node.inputs.length > 2)
        throw new UserError(`${node.operator} "${nodeLabel(node)}" of more than two values has no DeepLIFT rule`);
      const d = b.sub(x, y);
      const d0 = b.sub(reference(x), reference(y));
      const m = b.mul(b.scalar(sign, d), quotient(b, [d, d0], [b.abs(d), b.abs(d0)], b.sign(d)));
      const half = (value: ValueName) => b.mul(b.mul(dY, b.scalar(0.5, dY)), value);
      return [
        () => unbroadcast(b, half(b.add(b.scalar(1, m), m)), x),
        () => unbroadcast(b, half(b.sub(b.scalar(1, m), m)), y),
      ];
    };
  /**
   * A maximum over positions: with M = max(y, y0), M - y0 belongs to where x has its maximum and y - M to where x0 has its
   * own; divided by the differences there.
   */
  const winner =
    (operator: string): NodeRule =>
    (b, node, [dY]) => {
      if (dY === undefined) return [undefined];
      return node.inputs.map((x, index): Pullback | undefined => {
        if (index !== 0) return undefined;
        return () => {
          const [y, y0] = both(node.outputs[0]!);
          const counterpart = b.producer(y0);
          const entry = gradient(operator);
          const plain = () => entry(b, node, [dY])[0]!();
          if (y === y0 || counterpart === undefined) return plain();
          const highest = b.op('Max', [y, y0]);
          const above = entry(b, node, [b.mul(dY, b.sub(highest, y0))])[0]!();
          const below = entry(b, counterpart, [b.mul(dY, b.sub(y, highest))])[0]!();
          const dx = b.sub(x, reference(x));
          const moved = b.greater(b.abs(dx), b.scalar(SMALL, dx));
          return b.where(moved, b.div(b.add(above, below), b.where(moved, dx, b.scalar(1, dx))), plain());
        };
      });
    };
  /** y_i = e_i / S with e = exp(x - c), S = sum e, c the same for input and reference. */
  const softmax =
    (logarithm: boolean): Rule =>
    (b, node, [dY]) => [
      dY === undefined
        ? undefined
        : () => {
            const [x, x0] = both(node.inputs[0]!);
            const axes = [b.axis(x, intAttribute(node, 'axis', -1))];
            const c = b.max(b.op('Max', [x, x0]), axes);
            const [e, e0] = [b.exp(b.sub(x, c)), b.exp(b.sub(x0, c))];
            // A row far below the other's maximum must not underflow to a sum of 0.
            const tiny = b.scalar(1e-30, e);
            const [S, S0] = [b.add(b.sum(e, axes), tiny), b.add(b.sum(e0, axes), tiny)];
            const slope = quotient(b, [x, x0], [e, e0], e);
            if (logarithm) {
              const m = quotient(b, [S, S0], [b.log(S), b.log(S0)], b.reciprocal(S));
              return b.sub(dY, b.mul(b.mul(m, b.sum(dY, axes)), slope));
            }
            const own = b.mul(dY, mean(b, b.reciprocal(S), b.reciprocal(S0)));
            const shared = b.div(b.sum(b.mul(dY, mean(b, e, e0)), axes), b.mul(S, S0));
            return b.mul(b.sub(own, shared), slope);
          },
    ];
  const norm: Rule = (b, node, [dY]) =>
    node.inputs.map((x, index): Pullback | undefined =>
      index === 0 && dY !== undefined ? () => normMultiplier(b, readNorm(b, node), both(x), dY) : undefined,
    );

  const entries: Record<string, RuleEntry | undefined> = {};
  for (const operator of UNARY) entries[operator] = rescale(operator);
  for (const operator of ['Mul', 'MatMul', 'Gemm', 'Einsum']) entries[operator] = bilinear(operator);
  for (const operator of ['MaxPool', 'GlobalMaxPool', 'ReduceMax', 'ReduceMin']) entries[operator] = winner(operator);
  for (const operator of NONE) entries[operator] = undefined;
  const table = override(GRADIENT_RULES, {
    ...entries,
    Div: div,
    Pow: pow,
    Max: extreme(1),
    Min: extreme(-1),
    Softmax: softmax(false),
    LogSoftmax: softmax(true),
    LayerNormalization: norm,
    RMSNormalization: norm,
    InstanceNormalization: norm,
  });
  return revealCancel ? override(table, revealCancelRules(scene, table)) : table;
}

/** y = scale c r with c = x - mean(x), v = mean(c^2), r = (v + epsilon)^(-1/2): products and functions of one variable. */
function normMultiplier(
  b: GraphBuilder,
  norm: Norm,
  [x, x0]: readonly [ValueName, ValueName],
  dY: ValueName,
): ValueName {
  const [here, there] = [normParts(b, norm, x), normParts(b, norm, x0)];
  const g = b.mul(dY, norm.scale);
  // r' = -r^3 / 2
  const slope = b.mul(b.scalar(-0.5, x), b.mul(here.r, b.square(here.r)));
  const mV = b.mul(
    b.sum(b.mul(g, mean(b, here.c, there.c)), norm.axes),
    quotient(b, [here.v, there.v], [here.r, there.r], slope),
  );
  const throughSquare = b.div(b.mul(mV, b.add(here.c, there.c)), b.count(x, norm.axes, x));
  return centreBack(b, norm, b.add(b.mul(g, mean(b, here.r, there.r)), throughSquare));
}
