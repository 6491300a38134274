/** Reductions along axes, and softmax. */
import type { EmittedOperator, GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { int, intAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';

/** What a reduction's gradient is built from; y and dY keep the reduced axes as 1. */
interface Reduction {
  readonly b: GraphBuilder;
  readonly x: ValueName;
  readonly y: ValueName;
  readonly dY: ValueName;
  /** Sums a value shaped like x over the reduced axes. */
  readonly total: (value: ValueName) => ValueName;
  /** How many elements were reduced to one. */
  readonly count: () => ValueName;
  /** The same reduction by another operator. */
  readonly reduce: (operator: EmittedOperator, value: ValueName) => ValueName;
}
type Spread = (of: Reduction) => ValueName;

function reduction(spread: Spread): Rule {
  return rule((b, node, dY) => [
    () => {
      const [x, y] = [node.inputs[0]!, node.outputs[0]!];
      const keep = intAttribute(node, 'keepdims', 1) === 1;
      const axes = reducedAxes(b, node);
      if (axes === undefined) return spread(reducedAtRunTime(b, node, dY));
      const kept = (value: ValueName) => (keep || axes.length === 0 ? value : b.unsqueeze(value, axes));
      return spread({
        b,
        x,
        y: kept(y),
        dY: kept(dY),
        total: (value) => b.sum(value, axes),
        count: () => b.count(x, axes, dY),
        reduce: (operator, value) => b.op(operator, [value, b.int64s(axes)], { noop_with_empty_axes: int(1) }),
      });
    },
    undefined,
  ]);
}

/** The axes a node reduces, counted from the front; undefined when they are computed at run time. */
function reducedAxes(b: GraphBuilder, node: Node): number[] | undefined {
  const [x, given] = node.inputs;
  const rank = b.rank(x!);
  const axes = given ? b.numbers(given) : [];
  if (axes === undefined) return undefined;
  if (axes.length === 0)
    return intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
  return axes.map((axis) => b.axis(x!, axis)).sort((left, right) => left - right);
}

function reducedAtRunTime(b: GraphBuilder, node: Node, dY: ValueName): Reduction {
  const [x, axes, y] = [node.inputs[0]!, node.inputs[1]!, node.outputs[0]!];
  const noop = { noop_with_empty_axes: int(intAttribute(node, 'noop_with_empty_axes', 0)) };
  const reduce = (operator: EmittedOperator, value: ValueName) => b.op(operator, [value, axes], noop);
  const kept = (value: ValueName) =>
    intAttribute(node, 'keepdims', 1) === 1
      ? value
      : b.reshape(value, b.shape(reduce('ReduceSum', x)), Array(b.rank(x)).fill(undefined));
  return {
    b,
    x,
    y: kept(y),
    dY: kept(dY),
    total: (value) => reduce('ReduceSum', value),
    count: () => reduce('ReduceSum', b.onesLike(x)),
    reduce,
  };
}

/** The gradient goes to the extreme; ties share it equally. */
const extreme: Spread = ({ b, x, y, dY, total }) => {
  const hits = b.equal(x, y);
  return b.where(hits, b.div(dY, total(b.cast(hits, b.type(x)))), b.scalar(0, dY));
};
/**
 * d prod = (product of the others) dx, exact for zeros too: with one zero only that element gets a gradient,
 * with two none does. Second derivatives at exact zeros are not followed.
 */
const product: Spread = ({ b, x, dY, total, reduce }) => {
  const zero = b.equal(x, b.scalar(0, x));
  const safe = b.where(zero, b.scalar(1, x), x);
  const zeros = total(b.cast(zero, b.type(x)));
  const ofOthers = reduce('ReduceProd', safe);
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
  ReduceSum: reduction(({ b, x, dY }) => b.expandLike(dY, x)),
  ReduceMean: reduction(({ b, x, dY, count }) => b.expandLike(b.div(dY, count()), x)),
  ReduceMax: reduction(extreme),
  ReduceMin: reduction(extreme),
  ReduceProd: reduction(product),
  ReduceL1: reduction(({ b, x, dY }) => b.mul(b.sign(x), dY)),
  // x / |x|, and 0 at the origin
  ReduceL2: reduction(({ b, x, y, dY }) => {
    const origin = b.equal(y, b.scalar(0, y));
    return b.mul(x, b.where(origin, b.scalar(0, y), b.div(dY, b.where(origin, b.scalar(1, y), y))));
  }),
  ReduceSumSquare: reduction(({ b, x, dY }) => b.mul(b.mul(b.scalar(2, x), x), dY)),
  // d log(sum x) = dx / e^y
  ReduceLogSum: reduction(({ b, x, y, dY }) => b.expandLike(b.div(dY, b.exp(y)), x)),
  // d log(sum e^x) = e^(x - y) dx
  ReduceLogSumExp: reduction(({ b, x, y, dY }) => b.mul(b.exp(b.sub(x, y)), dY)),
  Softmax: softmax,
  LogSoftmax: logSoftmax,
} satisfies Readonly<Record<string, Rule>>;
