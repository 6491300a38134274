/** Reductions along axes, and softmax. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { intAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';

/** Builds dX from x, and from y and dY with the reduced axes kept as 1. */
type Spread = (b: GraphBuilder, x: ValueName, y: ValueName, dY: ValueName, axes: readonly number[]) => ValueName;

function reduction(spread: Spread): Rule {
  return rule((b, node, dY) => [
    () => {
      const x = node.inputs[0]!;
      const axes = reducedAxes(b, node);
      if (axes.length === 0) return spread(b, x, node.outputs[0]!, dY, axes);
      const keep = intAttribute(node, 'keepdims', 1) === 1;
      const kept = (value: ValueName) => (keep ? value : b.unsqueeze(value, axes));
      return spread(b, x, kept(node.outputs[0]!), kept(dY), axes);
    },
    undefined,
  ]);
}

function reducedAxes(b: GraphBuilder, node: Node): number[] {
  const [x, given] = node.inputs;
  const rank = b.rank(x!);
  const axes = given ? b.numbers(given) : undefined;
  if (given && axes === undefined)
    throw new Error(`${node.operator} "${node.name}": axes that are computed have no gradient rule`);
  if (axes === undefined || axes.length === 0)
    return intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
  return axes.map((axis) => b.axis(x!, axis)).sort((left, right) => left - right);
}

const sum: Spread = (b, x, _y, dY) => b.expandLike(dY, x);
const mean: Spread = (b, x, _y, dY, axes) => b.expandLike(b.div(dY, b.count(x, axes, dY)), x);
/** The gradient goes to the extreme; ties share it equally. */
const extreme: Spread = (b, x, y, dY, axes) => {
  const hits = b.cast(b.equal(x, y), b.type(x));
  return b.mul(hits, b.div(dY, b.sum(hits, axes)));
};
/**
 * d prod = (product of the others) dx, exact for zeros too: with one zero only that element gets a gradient,
 * with two none does.
 */
const product: Spread = (b, x, _y, dY, axes) => {
  const zero = b.equal(x, b.scalar(0, x));
  const safe = b.where(zero, b.scalar(1, x), x);
  const zeros = b.sum(b.cast(zero, b.type(x)), axes);
  const ofOthers = b.op('ReduceProd', [safe, b.int64s(axes)]);
  const none = b.where(b.equal(zeros, b.scalar(0, x)), b.div(ofOthers, safe), b.scalar(0, x));
  const single = b.and(zero, b.equal(zeros, b.scalar(1, x)));
  return b.mul(dY, b.where(single, ofOthers, none));
};

/** softmax: dX = y (dY - sum(y dY)) */
const softmax = rule((b, node, dY) => {
  const y = node.outputs[0]!;
  return [
    () => {
      const weighted = b.mul(y, dY);
      return b.sub(weighted, b.mul(y, b.sum(weighted, [b.axis(y, intAttribute(node, 'axis', -1))])));
    },
  ];
});

/** log softmax: dX = dY - e^y sum(dY) */
const logSoftmax = rule((b, node, dY) => {
  const y = node.outputs[0]!;
  return [() => b.sub(dY, b.mul(b.exp(y), b.sum(dY, [b.axis(y, intAttribute(node, 'axis', -1))])))];
});

export const reductions = {
  ReduceSum: reduction(sum),
  ReduceMean: reduction(mean),
  ReduceMax: reduction(extreme),
  ReduceMin: reduction(extreme),
  ReduceProd: reduction(product),
  ReduceL1: reduction((b, x, _y, dY) => b.mul(b.sign(x), dY)),
  // x / |x|, and 0 at the origin
  ReduceL2: reduction((b, x, y, dY) => {
    const origin = b.equal(y, b.scalar(0, y));
    return b.mul(x, b.where(origin, b.scalar(0, y), b.div(dY, b.where(origin, b.scalar(1, y), y))));
  }),
  ReduceSumSquare: reduction((b, x, _y, dY) => b.mul(b.mul(b.scalar(2, x), x), dY)),
  // d log(sum x) = dx / e^y
  ReduceLogSum: reduction((b, x, y, dY) => b.expandLike(b.div(dY, b.exp(y)), x)),
  // d log(sum e^x) = e^(x - y) dx
  ReduceLogSumExp: reduction((b, x, y, dY) => b.mul(b.exp(b.sub(x, y)), dY)),
  Softmax: softmax,
  LogSoftmax: logSoftmax,
} satisfies Readonly<Record<string, Rule>>;
