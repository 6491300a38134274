/** Selecting elements by index, and putting them back. */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import { intAttribute, int } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';
import { placeAlong, scatterAlong } from './shape.ts';

/** dData: dY added in at the indices. One constant index, the usual way to take a token, is a padding. */
const gather = rule((b, node, dY) => [
  () => {
    const [data, indices] = [node.inputs[0]!, node.inputs[1]!];
    const axis = b.axis(data, intAttribute(node, 'axis', 0));
    const index = b.rank(indices) === 0 ? b.numbers(indices)?.[0] : undefined;
    if (index !== undefined) {
      const length = b.dims(data)?.[axis];
      const at =
        index >= 0
          ? b.int64s([index])
          : typeof length === 'number'
            ? b.int64s([index + length])
            : b.add(b.dimension(data, axis), b.int64s([index]));
      return placeAlong(b, b.unsqueeze(dY, [axis]), data, at, axis);
    }
    return scatterAlong(b, dY, data, b.cast(indices, 'int64'), axis);
  },
  undefined,
]);

const gatherElements = rule((b, node, dY) => [
  () => b.scatterAddElements(b.zerosOf(node.inputs[0]!, dY), node.inputs[1]!, dY, intAttribute(node, 'axis', 0)),
  undefined,
]);

const gatherND = rule((b, node, dY) => [
  () => {
    const indices = withBatchCoordinates(b, node.inputs[1]!, intAttribute(node, 'batch_dims', 0));
    return b.scatterAdd(b.zerosOf(node.inputs[0]!, dY), indices, dY);
  },
  undefined,
]);

/** Indices [batch..., ..., depth] with the coordinates of the batch put before each index: the same without batch_dims. */
function withBatchCoordinates(b: GraphBuilder, indices: ValueName, batchDims: number): ValueName {
  if (batchDims === 0) return indices;
  const rank = b.rank(indices);
  const coordinates = Array.from({ length: batchDims }, (_, axis) => {
    const others = Array.from({ length: rank }, (_, at) => at).filter((at) => at !== axis);
    const shape = b.concat([b.slice(b.shape(indices), b.int64s([0]), b.int64s([rank - 1]), [0]), b.int64s([1])], 0);
    const dims = b.dims(indices)!.map((dim, at) => (at === rank - 1 ? 1 : dim));
    return b.op('Expand', [b.unsqueeze(b.positions(indices, axis), others), shape], {}, { dims });
  });
  return b.concat([...coordinates, indices], rank - 1);
}

/** The gradient goes to the selected elements. */
const topK: Rule = (b, node, [dY]) => [
  dY === undefined
    ? undefined
    : () => {
        const x = node.inputs[0]!;
        const indices = b.siblingOutput(node.outputs[0]!, 1);
        return b.scatterAddElements(b.zerosOf(x, dY), indices, dY, intAttribute(node, 'axis', -1));
      },
  undefined,
];

/** y = off + (on - off) hot, with values = [off, on]. */
const oneHot = rule((b, node, dY) => {
  const [indices, depth, values] = node.inputs as [ValueName, ValueName, ValueName];
  const total = (value: ValueName) => b.reshapeTo(b.op('ReduceSum', [value], { keepdims: int(0) }), [1]);
  return [
    undefined,
    undefined,
    () => {
      const unit = b.constant(b.type(values), [2], [0, 1]);
      const hot = b.op('OneHot', [indices, depth, unit], node.attributes, { dims: b.dims(node.outputs[0]!) });
      const on = total(b.mul(dY, hot));
      return b.concat([b.sub(total(dY), on), on], 0);
    },
  ];
});

/** Reversing is its own inverse. */
const reverseSequence = rule((b, node, dY) => [
  () => b.op('ReverseSequence', [dY, node.inputs[1]!], node.attributes),
  undefined,
]);

export const indexing = {
  OneHot: oneHot,
  ReverseSequence: reverseSequence,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  TopK: topK,
} satisfies Readonly<Record<string, Rule>>;
