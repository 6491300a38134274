/** Losses that come as one node. */
import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';
import { int, intAttribute, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';

const total = (b: GraphBuilder, x: ValueName) => b.op('ReduceSum', [x], { keepdims: int(0) });

/** -w[t] x[t], with w = 0 where the target is to be ignored; the mean divides by the sum of the w. */
function logLikelihoodLoss(
  b: GraphBuilder,
  node: Node,
  x: ValueName,
  target: ValueName,
  weights?: ValueName,
): ValueName {
  const ignored = intAttribute(node, 'ignore_index');
  const skip = ignored === undefined ? undefined : b.equal(target, b.scalar(ignored, target));
  const zero = b.scalar(0, x);
  const index = skip ? b.where(skip, b.scalar(0, target), target) : target;
  const picked = b.squeeze(b.op('GatherElements', [x, b.unsqueeze(index, [1])], { axis: int(1) }), [1]);
  let weight = weights && b.gather(weights, index, 0);
  if (skip) weight = b.where(skip, zero, weight ?? b.scalar(1, x));
  const losses = b.neg(weight ? b.mul(picked, weight) : picked);
  const reduction = stringAttribute(node, 'reduction', 'mean');
  if (reduction === 'none') return losses;
  if (reduction === 'sum') return total(b, losses);
  return weight ? b.div(total(b, losses), total(b, weight)) : b.op('ReduceMean', [losses], { keepdims: int(0) });
}

const negativeLogLikelihood: Decomposition = (b, node) => [
  logLikelihoodLoss(b, node, node.inputs[0]!, node.inputs[1]!, given(node, 2)),
];

const softmaxCrossEntropy: Decomposition = (b, node) => {
  const logarithms = b.op('LogSoftmax', [node.inputs[0]!], { axis: int(1) });
  return [logLikelihoodLoss(b, node, logarithms, node.inputs[1]!, given(node, 2)), logarithms];
};

export const lossFamily = {
  NegativeLogLikelihoodLoss: negativeLogLikelihood,
  SoftmaxCrossEntropyLoss: softmaxCrossEntropy,
} satisfies Readonly<Record<string, Decomposition>>;
