/** Convolutions that onnxruntime's WebGPU provider cannot do, or does wrongly: see webgpu.ts. */
import type { GraphBuilder } from './builder.ts';
import { given } from './decompose/decomposition.ts';
import type { Decomposition } from './decompose/decomposition.ts';
import { isStatic } from './dims.ts';
import type { Node, ValueName } from './model.ts';
import { int, intAttribute, ints, intsAttribute } from './model.ts';

const product = (values: readonly number[]): number => values.reduce((left, right) => left * right, 1);
const fill = (value: number, length: number): number[] => Array<number>(length).fill(value);

/** Channels it works on at once. */
const VECTOR = 4;

/**
 * Its Conv gives wrong numbers of 6, 9, 15, ... channels to a multiple of 4, for it reads three at once and counts them as
 * four: zeros are added up to a multiple of 4. In groups it works on several output channels at once even where these
 * belong to two groups, and with three spatial axes it has no groups: there each group is a convolution of its own.
 */
export const convolution: Decomposition = (b, node) => {
  const dims = b.dims(node.inputs[1]!);
  if (!isStatic(dims)) return undefined;
  const [outs, ins] = dims as [number, number];
  const group = intAttribute(node, 'group', 1);
  if (group === 1) return misread(node, dims) ? [widened(b, node, node.inputs, VECTOR - (ins % VECTOR))] : undefined;
  const each = outs / group;
  const together = [4, 2, 1].find((size) => outs % size === 0)!;
  if (dims.length < 5 && (each < VECTOR || each % together === 0)) return undefined;
  const part = (value: ValueName, axis: number, size: number) =>
    b.emit('Split', [value, b.int64s(fill(size, group))], { axis: int(axis) }, { outputs: group });
  const parts = [part(node.inputs[0]!, 1, ins), part(node.inputs[1]!, 0, each)];
  const bias = given(node, 2);
  if (bias !== undefined) parts.push(part(bias, 0, each));
  const lone = { ...node, attributes: { ...node.attributes, group: int(1) } };
  const wrong = misread(lone, [each, ...dims.slice(1)]);
  const results = Array.from({ length: group }, (_, at) =>
    widened(
      b,
      lone,
      parts.map((list) => list[at]!),
      wrong ? VECTOR - (ins % VECTOR) : 0,
    ),
  );
  return [b.concat(results, 1)];
};

/** Whether an ungrouped Conv with weights of these dims reads the wrong channels. Pointwise it is a product of matrices. */
function misread(node: Node, [outs, ins, ...kernel]: readonly number[]): boolean {
  const [strides, pads] = [intsAttribute(node, 'strides') ?? [], intsAttribute(node, 'pads') ?? []];
  const pointwise = [...kernel, ...strides].every((size) => size === 1) && pads.every((size) => size === 0);
  return kernel.length < 3 && !pointwise && ins! > 3 && ins! % 3 === 0 && ins! % VECTOR !== 0 && outs! % VECTOR === 0;
}

/** The Conv with some more channels of zeros. */
function widened(b: GraphBuilder, node: Node, inputs: readonly ValueName[], more: number): ValueName {
  const [x, w, ...bias] = inputs as [ValueName, ValueName, ...ValueName[]];
  const wide = (value: ValueName) => {
    const rank = b.rank(value);
    return more === 0 ? value : b.pad(value, b.int64s([...fill(0, rank + 1), more, ...fill(0, rank - 2)]));
  };
  return b.op('Conv', [wide(x), wide(w), ...bias], node.attributes);
}

/**
 * Its ConvTranspose has at most two spatial axes: with three it is a convolution of the input, strides - 1 zeros behind
 * each element, with the flipped kernel.
 */
export const transposedConvolution: Decomposition = (b, node) => {
  const [x, w] = [node.inputs[0]!, node.inputs[1]!];
  const [sizes, dims] = [b.dims(x)?.slice(2), b.dims(w)];
  if (!isStatic(sizes) || !isStatic(dims) || sizes.length < 3 || node.attributes['output_shape']) return undefined;
  const rank = sizes.length;
  const kernel = dims.slice(2);
  const strides = intsAttribute(node, 'strides') ?? fill(1, rank);
  const dilations = intsAttribute(node, 'dilations') ?? fill(1, rank);
  const pads = intsAttribute(node, 'pads') ?? fill(0, 2 * rank);
  const extra = intsAttribute(node, 'output_padding') ?? fill(0, rank);
  const group = intAttribute(node, 'group', 1);
  const around = kernel.map((size, axis) => dilations[axis]! * (size - 1));
  const begins = around.map((width, axis) => width - pads[axis]!);
  const ends = around.map((width, axis) => width - pads[axis + rank]! + extra[axis]! - (strides[axis]! - 1));
  const stuffed = strides.reduce((value, stride, axis) => stuff(b, value, axis + 2, stride), x);
  const padded = b.pad(stuffed, b.int64s([0, 0, ...begins, 0, 0, ...ends]));
  const [channels, each] = [dims[0]! / group, dims[1]!];
  const grouped = b.reshapeTo(w, [group, channels, each, ...kernel]);
  const turned = b.transpose(grouped, [0, 2, 1, ...kernel.map((_, axis) => axis + 3)]);
  const flipped = kernel.reduce(
    (value, size, axis) => b.gather(value, b.int64s(Array.from({ length: size }, (_, at) => size - 1 - at)), axis + 2),
    b.reshapeTo(turned, [group * each, channels, ...kernel]),
  );
  const attributes = { strides: ints(fill(1, rank)), dilations: ints(dilations), group: int(group) };
  const plain = { ...node, operator: 'Conv', inputs: [padded, flipped], attributes };
  const y = convolution(b, plain)?.[0] ?? b.op('Conv', plain.inputs, attributes);
  const bias = given(node, 2);
  return [bias === undefined ? y : b.add(y, b.reshapeTo(bias, [1, -1, ...fill(1, rank)]))];
};

/** Puts stride - 1 zeros behind each element along an axis. */
function stuff(b: GraphBuilder, x: ValueName, axis: number, stride: number): ValueName {
  if (stride === 1) return x;
  const dims = b.dims(x)!;
  const inner = product(dims.slice(axis + 1) as number[]);
  const size = dims[axis] as number;
  const rows = b.reshapeTo(x, [-1, 1, inner]);
  const wide = b.pad(rows, b.int64s([0, 0, 0, 0, stride - 1, 0]));
  const lengths = dims.map((_, each) => (each === axis ? b.int64s([size * stride]) : b.dimension(x, each)));
  return b.reshape(wide, b.concat(lengths, 0), [...dims.slice(0, axis), size * stride, ...dims.slice(axis + 1)]);
}
