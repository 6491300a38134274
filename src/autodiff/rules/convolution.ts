/** Convolutions in any number of spatial dimensions. Padding is explicit by now: `normalizeModel` resolved auto_pad. */
import type { ConvAttributes, GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { UserError, int, intAttribute, intsAttribute, isStatic, nodeLabel, stringAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';

interface Geometry extends ConvAttributes {
  /** Undefined where the kernel's size shows only at run time: in second derivatives the kernel can be a gradient. */
  readonly kernel: readonly number[] | undefined;
  /** Number of spatial dimensions. */
  readonly rank: number;
}

export function geometry(b: GraphBuilder, node: Node): Geometry {
  requireExplicitPadding(node);
  const kernel = intsAttribute(node, 'kernel_shape') ?? b.dims(node.inputs[1]!)?.slice(2);
  const rank = b.rank(node.inputs[0]!) - 2;
  if (rank < 0)
    throw new UserError(
      `${node.operator} "${nodeLabel(node)}": its input of ${rank + 2} axes has no batch and channels`,
    );
  return {
    kernel: isStatic(kernel) ? kernel : undefined,
    rank,
    strides: intsAttribute(node, 'strides') ?? Array<number>(rank).fill(1),
    dilations: intsAttribute(node, 'dilations') ?? Array<number>(rank).fill(1),
    pads: intsAttribute(node, 'pads') ?? Array<number>(2 * rank).fill(0),
    group: intAttribute(node, 'group', 1),
  };
}

/** How much an automatic padding adds follows from the input's size; where `normalizeModel` did not know it, we don't either. */
export function requireExplicitPadding(node: Node): void {
  if (stringAttribute(node, 'auto_pad', 'NOTSET').startsWith('SAME'))
    throw new UserError(
      `${node.operator} "${nodeLabel(node)}": automatic padding has a gradient only for inputs of known size; give the model's inputs fixed dims`,
    );
}

const channelSum = (b: GraphBuilder, dY: ValueName) =>
  b.sum(
    dY,
    Array.from({ length: b.rank(dY) }, (_, axis) => axis).filter((axis) => axis !== 1),
    false,
  );

/** Y = X * W + B: dX is the transposed convolution of dY, dW the correlation of X with dY. */
const conv = rule((b, node, dY) => {
  const [x, w, bias] = node.inputs as [ValueName, ValueName, ValueName?];
  return [
    () => convInput(b, geometry(b, node), x, w, dY),
    () => convWeight(b, geometry(b, node), x, w, dY),
    bias ? () => channelSum(b, dY) : undefined,
  ];
});

/** Y = X convolved transposed with W: dX is the plain convolution of dY. */
const convTranspose = rule((b, node, dY) => {
  const [x, w, bias] = node.inputs as [ValueName, ValueName, ValueName?];
  if (intsAttribute(node, 'output_shape'))
    throw new UserError(
      `ConvTranspose "${nodeLabel(node)}": output_shape has a gradient rule only for inputs of known size; give the model's inputs fixed dims`,
    );
  return [
    () => {
      const g = geometry(b, node);
      // Output padding made the output longer than the convolution reads back: those elements are cut by its floor.
      return b.conv(dY, w, g, b.dims(x));
    },
    // As a convolution of dY whose output is X: the roles of input and output gradient are exchanged.
    () => convWeight(b, geometry(b, node), dY, w, x),
    bias ? () => channelSum(b, dY) : undefined,
  ];
});

/** Gradient of a convolution's input. */
export function convInput(b: GraphBuilder, g: Geometry, x: ValueName, w: ValueName, dY: ValueName): ValueName {
  const reach = g.kernel?.map((size, axis) => g.dilations[axis]! * (size - 1));
  const begins = g.pads.slice(0, g.rank);
  const ends = g.pads.slice(g.rank);
  const unitStrides = g.strides.every((stride) => stride === 1);
  const channels = b.dims(w)?.slice(0, 2);
  if (
    unitStrides &&
    reach?.every((span, axis) => span >= begins[axis]! && span >= ends[axis]!) &&
    (g.group === 1 || isStatic(channels))
  ) {
    // onnxruntime's convolutions are much faster than its transposed ones, above all depthwise.
    const pads = [...reach.map((span, axis) => span - begins[axis]!), ...reach.map((span, axis) => span - ends[axis]!)];
    return b.conv(dY, flipKernel(b, w, g.kernel!, g), { ...g, pads }, b.dims(x));
  }
  const spatial = b.dims(x)?.slice(2);
  const outputs = b.dims(dY)?.slice(2);
  if (isStatic(spatial) && isStatic(outputs) && reach) {
    const outputPadding = spatial.map(
      (size, axis) => size - (g.strides[axis]! * (outputs[axis]! - 1) + reach[axis]! + 1 - begins[axis]! - ends[axis]!),
    );
    return b.convTranspose(dY, w, { ...g, outputPadding }, b.dims(x));
  }
  // Lengths are known only at run time: transpose without cutting the end, then cut or pad to the input's length.
  const whole = b.convTranspose(dY, w, { ...g, pads: [...begins, ...Array<number>(g.rank).fill(0)] });
  const zeros = b.int64s(Array<number>(g.rank + 4).fill(0));
  const rest = b.sub(spatialLengths(b, x, g.rank), spatialLengths(b, whole, g.rank));
  return b.pad(whole, b.concat([zeros, rest], 0), b.dims(x));
}

function spatialLengths(b: GraphBuilder, value: ValueName, rank: number): ValueName {
  const lengths = b.dims(value)?.slice(2);
  return isStatic(lengths) ? b.int64s(lengths) : b.op('Shape', [value], { start: int(2), end: int(rank + 2) });
}

/** W [O, C/g, ...] as the kernel [C, O/g, ...] that carries gradients back: channels exchanged, space reversed. */
export function flipKernel(
  b: GraphBuilder,
  w: ValueName,
  kernel: readonly number[],
  { group, rank }: Geometry,
): ValueName {
  const spatial = Array.from({ length: rank }, (_, axis) => axis);
  const axes = spatial.filter((axis) => kernel[axis]! > 1).map((axis) => axis + 2);
  const count = axes.length;
  const reversed =
    count === 0
      ? w
      : b.slice(
          w,
          b.int64s(Array<number>(count).fill(-1)),
          b.int64s(Array<number>(count).fill(-(2 ** 62))),
          axes,
          Array<number>(count).fill(-1),
          b.dims(w),
        );
  if (group === 1) return b.transpose(reversed, [1, 0, ...spatial.map((axis) => axis + 2)]);
  const [outputs, perGroup] = b.dims(w) as [number, number];
  if (perGroup === 1 && outputs === group) return reversed;
  const grouped = b.reshapeTo(reversed, [group, outputs / group, perGroup, ...kernel]);
  const exchanged = b.transpose(grouped, [0, 2, 1, ...spatial.map((axis) => axis + 3)]);
  return b.reshapeTo(exchanged, [group * perGroup, outputs / group, ...kernel]);
}

/**
 * dW[o, c, k] = sum over n and positions p of X[n, c, s p + d k - pad] dY[n, o, p]: a convolution in which samples
 * are the channels, dY is the kernel, and strides and dilations change places.
 */
function convWeight(b: GraphBuilder, g: Geometry, x: ValueName, w: ValueName, dY: ValueName): ValueName {
  const space = Array.from({ length: g.rank }, (_, axis) => axis + 2);
  const [images, kernels] = [channelsToBatch(b, x, g), samplesToChannels(b, dY, g)];
  const swapped = { strides: g.dilations, dilations: g.strides, pads: g.pads, group: g.group };
  const correlation = b.conv(images, kernels, swapped);
  const exchanged = b.transpose(correlation, [1, 0, ...space]);
  // Positions the stride skipped at the end leave a few columns too many.
  const zeros = b.int64s(space.map(() => 0));
  return b.slice(exchanged, zeros, spatialLengths(b, w, g.rank), space, undefined, b.dims(w));
}

/** X [N, G C', ...] as [C', G N, ...]. */
function channelsToBatch(b: GraphBuilder, x: ValueName, { group, rank }: Geometry): ValueName {
  const space = Array.from({ length: rank }, (_, axis) => axis + 2);
  if (group === 1) return b.transpose(x, [1, 0, ...space]);
  const lengths = space.map((axis) => b.dimension(x, axis));
  const [samples, channels] = [b.dims(x)?.[0], b.dims(x)?.[1]];
  const perGroup = typeof channels === 'number' ? channels / group : undefined;
  const spatial = b.dims(x)?.slice(2) ?? [];
  const split = b.reshape(x, b.concat([b.dimension(x, 0), b.int64s([group, perGroup ?? -1]), ...lengths], 0), [
    samples,
    group,
    perGroup,
    ...spatial,
  ]);
  const moved = b.transpose(split, [2, 1, 0, ...space.map((axis) => axis + 1)]);
  const together = typeof samples === 'number' ? samples * group : undefined;
  return b.reshape(
    moved,
    b.concat([b.int64s([perGroup ?? -1]), b.mul(b.dimension(x, 0), b.int64s([group])), ...lengths], 0),
    [perGroup, together, ...spatial],
  );
}

/** dY [N, O, ...] as kernels [O, N, ...]: group g of the convolution reads the samples of its own channels. */
function samplesToChannels(b: GraphBuilder, dY: ValueName, { rank }: Geometry): ValueName {
  return b.transpose(dY, [1, 0, ...Array.from({ length: rank }, (_, axis) => axis + 2)]);
}

export const convolution = { Conv: conv, ConvTranspose: convTranspose } satisfies Readonly<Record<string, Rule>>;
