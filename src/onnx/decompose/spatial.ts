/** Pooling by norms, and operators that fold, crop and place. */
import type { GraphBuilder } from '../builder.ts';
import { isStatic, positiveAxis } from '../dims.ts';
import type { Node, ValueName } from '../model.ts';
import { floatAttribute, int, intAttribute, intsAttribute, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';

const power = (b: GraphBuilder, x: ValueName, exponent: number) =>
  exponent === 1 ? x : exponent === 2 ? b.square(x) : b.pow(x, b.scalar(exponent, x));
/** The root of a sum of powers. Its slope is infinite at 0, which the slope of the powers, 0 there, would make no number. */
function root(b: GraphBuilder, x: ValueName, exponent: number): ValueName {
  if (exponent === 1) return x;
  const origin = b.equal(x, b.scalar(0, x));
  const safe = b.where(origin, b.scalar(1, x), x);
  const rooted = exponent === 2 ? b.sqrt(safe) : b.pow(safe, b.scalar(1 / exponent, x));
  return b.where(origin, b.scalar(0, x), rooted);
}
const exponentOf = (node: Node) => intAttribute(node, 'p') ?? floatAttribute(node, 'p', 2);

/** (sum over windows of |x|^p)^(1/p): a convolution with ones. */
const lpPool: Decomposition = (b, node) => {
  const x = node.inputs[0]!;
  const dims = b.dims(x);
  const kernel = intsAttribute(node, 'kernel_shape');
  if (dims === undefined || kernel === undefined) return undefined;
  if (stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET') return undefined;
  const rank = kernel.length;
  const fill = (value: number, length = rank) => Array<number>(length).fill(value);
  const strides = intsAttribute(node, 'strides') ?? fill(1);
  const dilations = intsAttribute(node, 'dilations') ?? fill(1);
  const pads = [...(intsAttribute(node, 'pads') ?? fill(0, 2 * rank))];
  if (intAttribute(node, 'ceil_mode', 0) === 1) {
    const spatial = dims.slice(2);
    if (!isStatic(spatial)) return undefined;
    // What a last, partial window sticks out is padding too.
    spatial.forEach((size, axis) => {
      const over = size + pads[axis]! + pads[axis + rank]! - (dilations[axis]! * (kernel[axis]! - 1) + 1);
      pads[axis + rank]! += (strides[axis]! - (over % strides[axis]!)) % strides[axis]!;
    });
  }
  const p = exponentOf(node);
  const powers = power(b, b.abs(x), p);
  // Channels become samples, so that one kernel of ones serves them all.
  const lengths = dims.slice(2).map((_, axis) => b.dimension(x, axis + 2));
  const flat = b.reshape(powers, b.concat([b.int64s([-1, 1]), ...lengths], 0), [undefined, 1, ...dims.slice(2)]);
  const ones = b.constant(
    b.type(x),
    [1, 1, ...kernel],
    fill(
      1,
      kernel.reduce((left, right) => left * right, 1),
    ),
  );
  const sums = b.conv(flat, ones, { strides, dilations, pads, group: 1 });
  const outer = [b.dimension(x, 0), b.dimension(x, 1)];
  const after = b.dims(sums)?.slice(2) ?? fill(0).map(() => undefined);
  const shape = b.concat([...outer, ...after.map((_, axis) => b.dimension(sums, axis + 2))], 0);
  return [root(b, b.reshape(sums, shape, [dims[0], dims[1], ...after]), p)];
};

const globalLpPool: Decomposition = (b, node) => {
  const x = node.inputs[0]!;
  const axes = Array.from({ length: b.rank(x) - 2 }, (_, index) => index + 2);
  const p = exponentOf(node);
  return [root(b, b.sum(power(b, b.abs(x), p), axes), p)];
};

/** Crops or pads the same on both sides, the odd one behind: padding by half the difference, negative to crop. */
const centerCropPad: Decomposition = (b, node) => {
  const [x, target] = [node.inputs[0]!, node.inputs[1]!];
  const rank = b.rank(x);
  const axes = (intsAttribute(node, 'axes') ?? Array.from({ length: rank }, (_, axis) => axis)).map((axis) =>
    positiveAxis(axis, rank),
  );
  const known = b.numbers(target);
  const [begins, ends]: [ValueName[], ValueName[]] = [[], []];
  for (let axis = 0; axis < rank; axis++) {
    const at = axes.indexOf(axis);
    const zero = b.int64s([0]);
    if (at < 0) {
      begins.push(zero);
      ends.push(zero);
      continue;
    }
    const size = b.cast(b.slice(target, b.int64s([at]), b.int64s([at + 1]), [0]), 'int64');
    const difference = b.sub(size, b.dimension(x, axis));
    const begin = b.div(difference, b.int64s([2]));
    begins.push(begin);
    ends.push(b.sub(difference, begin));
  }
  const pads = [...begins, ...ends].map((value) => {
    const numbers = b.numbers(value);
    return numbers ? b.int64s(numbers) : value;
  });
  const all = pads.map((value) => b.numbers(value)?.[0]);
  const dims = b.dims(x)?.map((dim, axis) => {
    const at = axes.indexOf(axis);
    return at < 0 ? dim : known?.[at];
  });
  return [b.pad(x, isStatic(all) ? b.int64s(all) : b.concat(pads, 0), dims)];
};

/** Sums overlapping blocks back into an image: a transposed convolution with one-hot kernels. */
const col2im: Decomposition = (b, node) => {
  const x = node.inputs[0]!;
  const [image, block] = [b.numbers(node.inputs[1]!), b.numbers(node.inputs[2]!)];
  const [batch, rows] = b.dims(x) ?? [];
  if (image === undefined || block === undefined || typeof rows !== 'number') return undefined;
  const rank = block.length;
  const fill = (value: number, length = rank) => Array<number>(length).fill(value);
  const strides = intsAttribute(node, 'strides') ?? fill(1);
  const dilations = intsAttribute(node, 'dilations') ?? fill(1);
  const pads = intsAttribute(node, 'pads') ?? fill(0, 2 * rank);
  const size = block.reduce((left, right) => left * right, 1);
  const counts = image.map(
    (length, axis) =>
      Math.floor(
        (length + pads[axis]! + pads[axis + rank]! - dilations[axis]! * (block[axis]! - 1) - 1) / strides[axis]!,
      ) + 1,
  );
  const outputPadding = image.map(
    (length, axis) =>
      length -
      (strides[axis]! * (counts[axis]! - 1) +
        dilations[axis]! * (block[axis]! - 1) +
        1 -
        pads[axis]! -
        pads[axis + rank]!),
  );
  const channels = rows / size;
  const identity = Array.from({ length: size * size }, (_, at) => (at % (size + 1) === 0 ? 1 : 0));
  const kernels = b.constant(b.type(x), [size, 1, ...block], identity);
  const columns = b.reshapeTo(x, [-1, size, ...counts]);
  const folded = b.convTranspose(columns, kernels, { strides, dilations, pads, group: 1, outputPadding });
  const dims = [batch, channels, ...image];
  return [b.reshape(folded, b.concat([b.dimension(x, 0), b.int64s([channels, ...image])], 0), dims)];
};

/** Values back to where they were the maximum; zeros elsewhere. */
const maxUnpool: Decomposition = (b, node) => {
  const [x, indices] = [node.inputs[0]!, node.inputs[1]!];
  const dims = b.dims(x);
  const kernel = intsAttribute(node, 'kernel_shape');
  if (dims === undefined || kernel === undefined) return undefined;
  const rank = kernel.length;
  const strides = intsAttribute(node, 'strides') ?? Array<number>(rank).fill(1);
  const pads = intsAttribute(node, 'pads') ?? Array<number>(2 * rank).fill(0);
  const target = given(node, 2);
  const lengths = kernel.map((size, axis) => {
    const scaled = b.mul(b.sub(b.dimension(x, axis + 2), b.int64s([1])), b.int64s([strides[axis]!]));
    return b.add(scaled, b.int64s([size - pads[axis]! - pads[axis + rank]!]));
  });
  const shape = target ? b.cast(target, 'int64') : b.concat([b.dimension(x, 0), b.dimension(x, 1), ...lengths], 0);
  const known = b.numbers(shape);
  const zero = { kind: 'tensor', value: b.weightOf(b.type(x), [1], [0]) } as const;
  const zeros = b.op('ConstantOfShape', [known ? b.int64s(known) : shape], { value: zero }, { dims: known });
  const flat = b.op('ScatterElements', [b.reshapeTo(zeros, [-1]), b.reshapeTo(indices, [-1]), b.reshapeTo(x, [-1])], {
    axis: int(0),
  });
  return [b.reshape(flat, known ? b.int64s(known) : shape, known ?? dims.map(() => undefined))];
};

/** The grid of an affine map: base coordinates times theta'. */
const affineGrid: Decomposition = (b, node) => {
  const [theta, size] = [node.inputs[0]!, node.inputs[1]!];
  const count = b.dims(size)?.[0];
  if (typeof count !== 'number') return undefined;
  const space = count - 2;
  const align = intAttribute(node, 'align_corners', 0) === 1;
  const scalar = (value: number) => b.constant('int64', [], [value]);
  const coordinates = Array.from({ length: space }, (_, axis) => {
    const length = b.gather(size, scalar(axis + 2), 0);
    const index = b.cast(b.op('Range', [scalar(0), length, scalar(1)]), b.type(theta));
    const [one, two] = [b.scalar(1, theta), b.scalar(2, theta)];
    const steps = b.cast(length, b.type(theta));
    const position = align ? b.div(b.mul(two, index), b.sub(steps, one)) : b.div(b.add(b.mul(two, index), one), steps);
    const others = Array.from({ length: space + 1 }, (_, at) => at).filter((at) => at !== axis);
    return b.unsqueeze(b.sub(position, one), others);
  });
  const spatial = b.slice(size, b.int64s([2]), b.int64s([count]), [0]);
  const shape = b.concat([spatial, b.int64s([1])], 0);
  const dims = b.numbers(size)?.slice(2);
  const whole = (value: ValueName) =>
    b.op('Expand', [value, shape], {}, { dims: dims ? [...dims, 1] : Array(space + 1).fill(undefined) });
  // x runs along the last axis, so it comes first; the last column multiplies the translation.
  const base = b.concat([...coordinates.toReversed().map(whole), whole(b.constant(b.type(theta), [1], [1]))], space);
  const flat = b.reshapeTo(base, [-1, space + 1]);
  const grid = b.matmul(flat, b.matrixTranspose(theta));
  const result = b.concat([b.slice(size, b.int64s([0]), b.int64s([1]), [0]), spatial, b.int64s([space])], 0);
  const known = b.numbers(size);
  return [b.reshape(grid, result, known ? [known[0], ...known.slice(2), space] : Array(space + 2).fill(undefined))];
};

export const spatialFamily = {
  LpPool: lpPool,
  GlobalLpPool: globalLpPool,
  CenterCropPad: centerCropPad,
  Col2Im: col2im,
  MaxUnpool: maxUnpool,
  AffineGrid: affineGrid,
} satisfies Readonly<Record<string, Decomposition>>;
