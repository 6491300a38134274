/** Pooling. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { intAttribute, intsAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';
import { requireExplicitPadding } from './convolution.ts';

/** MaxPool says where each maximum was found, as a flat index over the whole input: dY is added in there. */
const maxPool: Rule = (b, node, [dY]) => [
  dY === undefined
    ? undefined
    : () => {
        const x = node.inputs[0]!;
        // Indices that count by columns are of no use here: the pooling is done once more, counting by rows.
        const { storage_order: order, ...attributes } = node.attributes;
        const byRows =
          order?.kind === 'int' && order.value === 1
            ? b.emit('MaxPool', [x], attributes, { outputs: 2 })[1]!
            : b.siblingOutput(node.outputs[0]!, 1);
        const indices = b.reshapeTo(byRows, [-1]);
        const flat = b.reshapeTo(b.zerosOf(x, dY), [-1]);
        const sum = b.scatterAddElements(flat, indices, b.reshapeTo(dY, [-1]), 0);
        return b.reshape(sum, b.shapeBeside(x, dY), b.dims(x));
      },
];

/** Each output is the mean over its window: dY / count is spread over the window by a transposed convolution with ones. */
const averagePool = rule((b, node, dY) => [
  () => {
    requireExplicitPadding(node);
    const x = node.inputs[0]!;
    const kernel = intsAttribute(node, 'kernel_shape')!;
    const rank = kernel.length;
    const g = {
      strides: intsAttribute(node, 'strides') ?? Array<number>(rank).fill(1),
      dilations: intsAttribute(node, 'dilations') ?? Array<number>(rank).fill(1),
      pads: intsAttribute(node, 'pads') ?? Array<number>(2 * rank).fill(0),
      group: 1,
    };
    const share = b.mul(dY, windowShare(b, node, x, kernel, g.pads, dY));
    // Channels are independent: they join the batch, so the kernel of ones is one small constant.
    const single = b.reshape(
      share,
      b.concat([b.int64s([-1, 1]), b.slice(b.shape(share), b.int64s([2]), b.int64s([rank + 2]), [0])], 0),
      [undefined, 1, ...(b.dims(share)?.slice(2) ?? [])],
    );
    const ones = b.constant(
      b.type(x),
      [1, 1, ...kernel],
      Array<number>(kernel.reduce((left, right) => left * right, 1)).fill(1),
    );
    const begins = g.pads.slice(0, rank);
    const whole = b.convTranspose(single, ones, { ...g, pads: [...begins, ...Array<number>(rank).fill(0)] });
    const lengths = (value: ValueName) => b.slice(b.shape(value), b.int64s([2]), b.int64s([rank + 2]), [0]);
    const difference = b.sub(lengths(x), lengths(whole));
    const fitted = b.pad(whole, b.concat([b.int64s(Array<number>(rank + 4).fill(0)), difference], 0), [
      undefined,
      1,
      ...(b.dims(x)?.slice(2) ?? []),
    ]);
    return b.reshape(fitted, b.shape(x), b.dims(x));
  },
]);

/** 1 / count per window: constant, unless padding is not counted or windows hang over the end; then pooled ones tell. */
function windowShare(
  b: GraphBuilder,
  node: Node,
  x: ValueName,
  kernel: readonly number[],
  pads: readonly number[],
  like: ValueName,
): ValueName {
  const full = kernel.reduce((left, right) => left * right, 1);
  const included = intAttribute(node, 'count_include_pad', 0) === 1;
  const padded = pads.some((pad) => pad > 0) && !included;
  const ceil = intAttribute(node, 'ceil_mode', 0) === 1;
  const rank = kernel.length;
  const strides = intsAttribute(node, 'strides') ?? Array<number>(rank).fill(1);
  const dilations = intsAttribute(node, 'dilations') ?? Array<number>(rank).fill(1);
  const spans = kernel.map((size, axis) => dilations[axis]! * (size - 1) + 1);
  // An input that is shorter than a window, which is then cut off: not with a stride of 1, and not in the count where pads count.
  const fits = spans.every((span, axis) => {
    const length = b.dims(x)?.[axis + 2];
    if (included || strides[axis] === 1) return true;
    return typeof length === 'number' && length + pads[axis]! + pads[axis + rank]! >= span;
  });
  if (!padded && !ceil && fits) return b.scalar(1 / full, like);
  const padWidths = [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)];
  // Ones where there is input, zeros where there is padding or nothing: their sum over a window is the count.
  const map = b.slice(x, b.int64s([0, 0]), b.int64s([1, 1]), [0, 1]);
  const ones = padded ? b.pad(b.onesLike(map), b.int64s(padWidths)) : b.onesLike(b.pad(map, b.int64s(padWidths)));
  const extra = strides.map((stride, axis) => (ceil || !fits ? Math.max(stride, spans[axis]!) : 0));
  const extended = b.pad(ones, b.int64s([...Array<number>(rank + 2).fill(0), 0, 0, ...extra]));
  const kernelOnes = b.constant(b.type(x), [1, 1, ...kernel], Array<number>(full).fill(1));
  const counts = b.conv(extended, kernelOnes, { strides, dilations, pads: Array<number>(2 * rank).fill(0), group: 1 });
  const spatial = Array.from({ length: rank }, (_, axis) => axis + 2);
  const lengths = b.slice(b.shape(like), b.int64s([2]), b.int64s([rank + 2]), [0]);
  const fitted = b.slice(counts, b.int64s(spatial.map(() => 0)), lengths, spatial, undefined, [
    1,
    1,
    ...(b.dims(like)?.slice(2) ?? []),
  ]);
  return b.reciprocal(fitted);
}

const spatialAxes = (b: GraphBuilder, x: ValueName) => Array.from({ length: b.rank(x) - 2 }, (_, index) => index + 2);

const globalAveragePool = rule((b, node, dY) => [
  () => {
    const x = node.inputs[0]!;
    return b.expandLike(b.div(dY, b.count(x, spatialAxes(b, x), dY)), x);
  },
]);

/** The maximum of each channel; ties share the gradient equally. */
const globalMaxPool = rule((b, node, dY) => [
  () => {
    const x = node.inputs[0]!;
    const hits = b.equal(x, node.outputs[0]!);
    return b.where(hits, b.div(dY, b.sum(b.cast(hits, b.type(x)), spatialAxes(b, x))), b.scalar(0, dY));
  },
]);

export const pooling = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
} satisfies Readonly<Record<string, Rule>>;
