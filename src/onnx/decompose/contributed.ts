/**
 * Operators of com.microsoft that exporters wrote before ai.onnx had their like, and those that onnxruntime's optimiser
 * writes for diffusion models.
 */
import type { GraphBuilder } from '../builder.ts';
import { UserError } from '../errors.ts';
import type { Node, ValueName } from '../model.ts';
import { floatAttribute, intAttribute, nodeLabel, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';
import { gelu } from './fused.ts';
import { samplingFamily } from './sampling.ts';

/** Pads may be a row of a matrix, and the value a vector of one element. */
const pad: Decomposition = (b, node) => {
  const [x, pads] = [node.inputs[0]!, node.inputs[1]!];
  const value = given(node, 2);
  const inputs = [x, b.reshapeTo(pads, [-1]), value ? b.reshapeTo(value, []) : ''];
  return [b.op('Pad', inputs, node.attributes, { dims: b.dims(x)?.map(() => undefined) })];
};

const expandDims: Decomposition = (b, node) => {
  const axis = b.numbers(node.inputs[1]!)?.[0];
  return axis === undefined ? undefined : [b.unsqueeze(node.inputs[0]!, [axis])];
};

/** Distances between the rows of one matrix and those of another. */
const distances: Decomposition = (b, node) => {
  const metric = stringAttribute(node, 'metric', 'sqeuclidean');
  if (metric !== 'sqeuclidean' && metric !== 'euclidean')
    throw new UserError(`CDist "${nodeLabel(node)}": the metric "${metric}" has no gradient rule`);
  const difference = b.sub(b.unsqueeze(node.inputs[0]!, [1]), b.unsqueeze(node.inputs[1]!, [0]));
  const squares = b.sum(b.square(difference), [2], false);
  return [metric === 'euclidean' ? b.sqrt(squares) : squares];
};

/** Normalised in groups of channels, which stand last unless said, and perhaps through x sigmoid(x). */
function groupNorm(b: GraphBuilder, node: Node, x: ValueName): ValueName {
  const groups = intAttribute(node, 'groups', 1);
  const last = intAttribute(node, 'channels_last', 1) === 1;
  const image = last ? b.transpose(x, [0, 3, 1, 2]) : x;
  const rows = b.reshapeTo(image, [0, groups, -1]);
  const centred = b.sub(rows, b.mean(rows, [2]));
  const spread = b.mean(b.square(centred), [2]);
  const epsilon = b.scalar(floatAttribute(node, 'epsilon', 1e-5), spread);
  const normal = b.reshapeLike(b.div(centred, b.sqrt(b.add(spread, epsilon))), image);
  const channel = (at: number) => b.unsqueeze(b.cast(node.inputs[at]!, b.type(x)), [1, 2]);
  const y = b.add(b.mul(normal, channel(1)), channel(2));
  const activated = intAttribute(node, 'activation', 0) === 1 ? b.mul(y, b.sigmoid(y)) : y;
  return last ? b.transpose(activated, [0, 2, 3, 1]) : activated;
}

/** x + skip + bias, normalised; what is added may have one number for each channel. */
const skipGroupNorm: Decomposition = (b, node) => {
  const [x, skip, bias] = [node.inputs[0]!, node.inputs[3]!, given(node, 4)];
  const space = intAttribute(node, 'channels_last', 1) === 1 ? [1, 2] : [2, 3];
  let sum = b.add(x, b.rank(skip) === 2 ? b.unsqueeze(skip, space) : skip);
  if (bias) sum = b.add(sum, space[0] === 1 ? bias : b.unsqueeze(bias, [1, 2]));
  return [groupNorm(b, node, sum), sum];
};

/** The left half of x + bias times the gelu of the right one. */
const biasSplitGelu: Decomposition = (b, node) => {
  const sum = b.add(node.inputs[0]!, node.inputs[1]!);
  const width = b.dims(sum)?.[2];
  if (typeof width !== 'number') return undefined;
  const half = (from: number) => b.slice(sum, b.int64s([from]), b.int64s([from + width / 2]), [2]);
  return [b.mul(half(0), gelu(b, half(width / 2)))];
};

export const contributedFamily = {
  'com.microsoft::Trilu': (b, node) => [b.op('Trilu', node.inputs, node.attributes)],
  'com.microsoft::GatherND': (b, node) => [b.op('GatherND', node.inputs, node.attributes)],
  'com.microsoft::GridSample': samplingFamily.GridSample,
  'com.microsoft::Pad': pad,
  'com.microsoft::ExpandDims': expandDims,
  'com.microsoft::CDist': distances,
  'com.microsoft::GatedAdd': (b, node) =>
    given(node, 3) ? undefined : [b.add(node.inputs[0]!, b.mul(node.inputs[1]!, node.inputs[2]!))],
  'com.microsoft::BiasAdd': (b, node) => [b.add(b.add(node.inputs[0]!, node.inputs[1]!), node.inputs[2]!)],
  'com.microsoft::BiasSplitGelu': biasSplitGelu,
  'com.microsoft::GroupNorm': (b, node) => [groupNorm(b, node, node.inputs[0]!)],
  'com.microsoft::SkipGroupNorm': skipGroupNorm,
} satisfies Readonly<Record<string, Decomposition>>;
