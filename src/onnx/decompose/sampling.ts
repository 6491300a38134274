/** Reading an image between its pixels: GridSample and DeformConv. */
import type { GraphBuilder } from '../builder.ts';
import { isStatic } from '../dims.ts';
import type { Node, ValueName } from '../model.ts';
import { int, intAttribute, intsAttribute, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';

type Padding = 'zeros' | 'border' | 'reflection';

const floor = (b: GraphBuilder, x: ValueName) => b.op('Floor', [x]);
const clamp = (b: GraphBuilder, x: ValueName, low: ValueName, high: ValueName) => b.op('Clip', [x, low, high]);

/** Where an image is read: positions along each axis, one per point. */
interface Sampling {
  /** [N, C, ...space] */
  readonly image: ValueName;
  /** Lengths of the axes of space as scalars of the image's type. */
  readonly lengths: readonly ValueName[];
  readonly padding: Padding;
  /** Lowest and highest position on each axis that needs no padding, for reflections. */
  readonly borders: readonly (readonly [ValueName, ValueName])[];
}

export function samplingOf(b: GraphBuilder, image: ValueName, padding: Padding = 'zeros', align = false): Sampling {
  const space = b.rank(image) - 2;
  const scalar = (value: number) => b.scalar(value, image);
  const lengths = Array.from({ length: space }, (_, axis) => {
    const length = b.dims(image)?.[axis + 2];
    return typeof length === 'number'
      ? scalar(length)
      : b.cast(b.squeeze(b.dimension(image, axis + 2), [0]), b.type(image));
  });
  const borders = lengths.map((length): [ValueName, ValueName] =>
    align ? [scalar(0), b.sub(length, scalar(1))] : [scalar(-0.5), b.sub(length, scalar(0.5))],
  );
  return { image, lengths, padding, borders };
}

const SHORT = 2 ** -10;

/** The position folded back between the borders: a triangle wave. */
function reflect(b: GraphBuilder, x: ValueName, [low, high]: readonly [ValueName, ValueName]): ValueName {
  const range = b.sub(high, low);
  // Between the corners of one pixel there is no way: a short one then, all of which is that pixel.
  const period = b.op('Max', [b.mul(range, b.scalar(2, x)), b.scalar(SHORT, x)]);
  const distance = b.sub(x, low);
  const rest = b.sub(distance, b.mul(floor(b, b.div(distance, period)), period));
  return b.add(low, b.where(b.greater(rest, range), b.sub(period, rest), rest));
}

/** The pixels at whole positions [N, P] along each axis, as [N, C, P]; outside they are what the padding says. */
export function pixels(b: GraphBuilder, sampling: Sampling, positions: readonly ValueName[]): ValueName {
  const { image, lengths, padding, borders } = sampling;
  const zero = b.scalar(0, image);
  let inside: ValueName | undefined;
  let flat: ValueName | undefined;
  positions.forEach((position, axis) => {
    const last = b.sub(lengths[axis]!, b.scalar(1, image));
    if (padding === 'zeros') {
      const within = b.and(b.greaterOrEqual(position, zero), b.lessOrEqual(position, last));
      inside = inside === undefined ? within : b.and(inside, within);
    }
    const folded = padding === 'reflection' ? reflect(b, position, borders[axis]!) : position;
    const index = b.cast(clamp(b, folded, zero, last), 'int64');
    const length = b.cast(lengths[axis]!, 'int64');
    flat = flat === undefined ? index : b.add(b.mul(flat, length), index);
  });
  const [batch, channels] = [b.dimension(image, 0), b.dimension(image, 1)];
  const points = b.dimension(flat!, 1);
  const dims = [b.dims(image)?.[0], b.dims(image)?.[1], b.dims(flat!)?.[1]];
  const rows = b.op('Reshape', [image, b.int64s([0, 0, -1])]);
  const shape = b.concat([batch, channels, points], 0);
  const indices = b.op('Expand', [b.unsqueeze(flat!, [1]), shape], {}, { dims });
  const values = b.op('GatherElements', [rows, indices], { axis: int(2) });
  return inside === undefined ? values : b.where(b.unsqueeze(inside, [1]), values, zero);
}

/** Sums the pixels around positions [N, P] with the weights of the kernel along each axis, as [N, C, P]. */
function weighted(
  b: GraphBuilder,
  sampling: Sampling,
  positions: readonly ValueName[],
  kernel: (fraction: ValueName) => readonly (readonly [number, ValueName])[],
): ValueName {
  const corners = positions.map((position) => {
    const base = floor(b, position);
    return kernel(b.sub(position, base)).map(
      ([offset, weight]) => [offset === 0 ? base : b.add(base, b.scalar(offset, base)), weight] as const,
    );
  });
  let all: { at: ValueName[]; weight: ValueName | undefined }[] = [{ at: [], weight: undefined }];
  for (const axis of corners)
    all = all.flatMap(({ at, weight }) =>
      axis.map(([position, own]) => ({
        at: [...at, position],
        weight: weight === undefined ? own : b.mul(weight, own),
      })),
    );
  return all
    .map(({ at, weight }) => b.mul(pixels(b, sampling, at), b.unsqueeze(weight!, [1])))
    .reduce((left, right) => b.add(left, right));
}

/** 1 - t, t */
export const linearSample = (b: GraphBuilder, sampling: Sampling, positions: readonly ValueName[]): ValueName =>
  weighted(b, sampling, positions, (t) => [
    [0, b.sub(b.scalar(1, t), t)],
    [1, t],
  ]);

/** Keys' cubic kernel with a = -0.75: (a + 2) t^3 - (a + 3) t^2 + 1 within one pixel, a (t^3 - 5 t^2 + 8 t - 4) to two. */
function cubicSample(b: GraphBuilder, sampling: Sampling, positions: readonly ValueName[]): ValueName {
  const a = -0.75;
  return weighted(b, sampling, positions, (t) => {
    const number = (value: number) => b.scalar(value, t);
    const polynomial = (x: ValueName, coefficients: readonly number[]) =>
      coefficients.slice(1).reduce((sum, c) => b.add(b.mul(sum, x), number(c)), number(coefficients[0]!));
    const near = [a + 2, -(a + 3), 0, 1];
    const far = [a, -5 * a, 8 * a, -4 * a];
    const rest = b.sub(number(1), t);
    return [
      [-1, polynomial(b.add(t, number(1)), far)],
      [0, polynomial(t, near)],
      [1, polynomial(rest, near)],
      [2, polynomial(b.add(rest, number(1)), far)],
    ];
  });
}

/** To the nearest whole number, halves to even as onnxruntime's kernel does. */
const nearestSample = (b: GraphBuilder, sampling: Sampling, positions: readonly ValueName[]): ValueName =>
  pixels(
    b,
    sampling,
    positions.map((position) => b.op('Round', [position])),
  );

const gridSample: Decomposition = (b, node) => {
  const [image, grid] = [node.inputs[0]!, node.inputs[1]!];
  const space = b.rank(image) - 2;
  const align = intAttribute(node, 'align_corners', 0) === 1;
  const padding = stringAttribute(node, 'padding_mode', 'zeros') as Padding;
  const mode = stringAttribute(node, 'mode', 'linear').replace(/^bi/, '');
  const sampling = samplingOf(b, image, padding, align);
  const points = b.op('Reshape', [grid, b.int64s([0, -1, space])]);
  const positions = sampling.lengths.map((length, axis) => {
    // The grid names the last axis first. -1 and 1 are the centres or the edges of the outermost pixels.
    const x = b.gather(points, b.constant('int64', [], [space - 1 - axis]), 2);
    const [one, half] = [b.scalar(1, x), b.scalar(0.5, x)];
    const position = align
      ? b.mul(b.mul(b.add(x, one), half), b.sub(length, one))
      : b.mul(b.sub(b.mul(b.add(x, one), length), one), half);
    const moved = mode === 'nearest' ? b.op('Round', [position]) : position;
    // A cubic's pixels are kept within the image one by one, as PyTorch and onnxruntime do, not the point between them.
    if (padding === 'border' && mode === 'cubic') return moved;
    if (padding === 'border') return clamp(b, moved, b.scalar(0, x), b.sub(length, one));
    return padding === 'reflection' ? reflect(b, moved, sampling.borders[axis]!) : moved;
  });
  const sample = mode === 'nearest' ? nearestSample : mode === 'cubic' ? cubicSample : linearSample;
  const values = sample(b, sampling, positions);
  const lengths = Array.from({ length: space }, (_, axis) => b.dimension(grid, axis + 1));
  const dims = [b.dims(image)?.[0], b.dims(image)?.[1], ...(b.dims(grid)?.slice(1, -1) ?? [])];
  return [b.reshape(values, b.concat([b.dimension(image, 0), b.dimension(image, 1), ...lengths], 0), dims)];
};

/** Each kernel tap reads the image where its offset points; then a convolution is a product of matrices. */
const deformConv: Decomposition = (b, node) => {
  const [x, w, offset] = node.inputs as [ValueName, ValueName, ValueName];
  const [wDims, offsetDims] = [b.dims(w), b.dims(offset)];
  const channels = b.dims(x)?.[1];
  if (b.dims(x)?.length !== 4 || !isStatic(wDims) || offsetDims === undefined || typeof channels !== 'number')
    return undefined;
  const [height, width] = offsetDims.slice(2);
  if (typeof height !== 'number' || typeof width !== 'number') return undefined;
  const kernel = wDims.slice(2) as [number, number];
  const taps = kernel[0] * kernel[1];
  const groups = intAttribute(node, 'group', 1);
  const offsetGroups = intAttribute(node, 'offset_group', 1);
  const points = height * width;
  // [N, groups, taps, 2, points]
  const moves = b.reshapeTo(offset, [0, offsetGroups, taps, 2, points]);
  const masks = given(node, 4) && b.reshapeTo(node.inputs[4]!, [0, offsetGroups, 1, taps, points]);
  const perGroup = channels / offsetGroups;
  const sampled = Array.from({ length: offsetGroups }, (_, group) => {
    const images =
      offsetGroups === 1 ? x : b.slice(x, b.int64s([group * perGroup]), b.int64s([(group + 1) * perGroup]), [1]);
    const own = b.gather(moves, b.constant('int64', [], [group]), 1);
    const positions = [0, 1].map((axis) => {
      const base = b.constant(b.type(x), [1, taps * points], tapPositions(node, kernel, [height, width], axis));
      const move = b.reshapeTo(b.gather(own, b.constant('int64', [], [axis]), 2), [0, taps * points]);
      return b.add(base, move);
    });
    const values = linearSample(b, samplingOf(b, images), positions);
    const columns = b.reshapeTo(values, [0, perGroup, taps, points]);
    return masks ? b.mul(columns, b.gather(masks, b.constant('int64', [], [group]), 1)) : columns;
  });
  const columns = b.reshapeTo(b.concat(sampled, 1), [0, groups, (channels / groups) * taps, points]);
  const weights = b.reshapeTo(w, [groups, wDims[0]! / groups, wDims[1]! * taps]);
  const flat = b.reshapeTo(b.matmul(weights, columns), [0, wDims[0]!, height, width]);
  const bias = given(node, 3);
  return [bias ? b.add(flat, b.unsqueeze(bias, [1, 2])) : flat];
};

/** Positions along one axis that the taps of a kernel read at each point of the output, without offsets. */
function tapPositions(
  node: Node,
  kernel: readonly [number, number],
  output: readonly [number, number],
  axis: number,
): number[] {
  const [strides, dilations] = [intsAttribute(node, 'strides') ?? [1, 1], intsAttribute(node, 'dilations') ?? [1, 1]];
  const begin = (intsAttribute(node, 'pads') ?? [0, 0, 0, 0])[axis]!;
  const list: number[] = [];
  for (let ky = 0; ky < kernel[0]; ky++)
    for (let kx = 0; kx < kernel[1]; kx++)
      for (let py = 0; py < output[0]; py++)
        for (let px = 0; px < output[1]; px++)
          list.push((axis === 0 ? py : px) * strides[axis]! + (axis === 0 ? ky : kx) * dilations[axis]! - begin);
  return list;
}

export const samplingFamily = { GridSample: gridSample, DeformConv: deformConv } satisfies Readonly<
  Record<string, Decomposition>
>;
