/**
 * What onnxruntime's WebGPU provider takes and then cannot do, or does wrongly, in operators that it can. Operators it
 * does not take at all it leaves to the CPU, in the same session. Found with onnxruntime 1.30 by test/backends, which
 * also finds when one of these is not needed any more.
 */
import type { GraphBuilder } from './builder.ts';
import { isStatic, positiveAxis } from './dims.ts';
import { decomposeModel } from './decompose/index.ts';
import { asked, given } from './decompose/decomposition.ts';
import type { Decomposition } from './decompose/decomposition.ts';
import type { Model, Node, ValueName } from './model.ts';
import { intAttribute, intsAttribute, string } from './model.ts';
import { pruneModel } from './prune.ts';
import { convolution, transposedConvolution } from './webgpu-convolution.ts';
import { multiplyAlong, resizedAxes } from './resize-matrix.ts';

/** The same program for the WebGPU provider; the model's own operators and those of the reverse pass alike. */
export function lowerForWebGpu(model: Model): Model {
  return pruneModel(decomposeModel(model, LOWERINGS));
}

const product = (values: readonly number[]): number => values.reduce((left, right) => left * right, 1);
const fill = (value: number, length: number): number[] => Array<number>(length).fill(value);

/** Its MaxPool has no Indices: the first place in each window that holds the maximum, by one comparison per place. */
const maxPool: Decomposition = (b, node) => {
  if (!asked(node, 1)) return undefined;
  const x = node.inputs[0]!;
  const { storage_order: order, ...attributes } = node.attributes;
  const y = b.op('MaxPool', [x], attributes);
  const [sizes, outs] = [b.dims(x)?.slice(2), b.dims(y)?.slice(2)];
  if (!isStatic(sizes) || !isStatic(outs)) return undefined;
  const rank = sizes.length;
  const kernel = intsAttribute(node, 'kernel_shape')!;
  const strides = intsAttribute(node, 'strides') ?? fill(1, rank);
  const dilations = intsAttribute(node, 'dilations') ?? fill(1, rank);
  const begins = (intsAttribute(node, 'pads') ?? fill(0, 2 * rank)).slice(0, rank);
  const byColumns = order?.kind === 'int' && order.value === 1;
  /** What one step along each axis adds to the flat index. */
  const steps = sizes.map((_, axis) => product(byColumns ? sizes.slice(0, axis) : sizes.slice(axis + 1)));
  const reach = outs.map((out, axis) => (out - 1) * strides[axis]! + (kernel[axis]! - 1) * dilations[axis]! + 1);
  const ends = reach.map((length, axis) => Math.max(0, length - begins[axis]! - sizes[axis]!));
  const spatial = sizes.map((_, axis) => axis + 2);
  const padded = padAll(b, x, [0, 0, ...begins, 0, 0, ...ends], b.scalar(-3e38, x), { mode: string('constant') });
  const whole = (value: number) => b.constant('int32', [], [value]);
  let offset = whole(0);
  // From the last place to the first, so that of equal ones the first stays.
  for (const place of places(kernel).toReversed()) {
    const starts = place.map((at, axis) => at * dilations[axis]!);
    const stops = starts.map((start, axis) => start + (outs[axis]! - 1) * strides[axis]! + 1);
    const values = b.slice(padded, b.int64s(starts), b.int64s(stops), spatial, strides, b.dims(y));
    const distance = starts.reduce((sum, start, axis) => sum + start * steps[axis]!, 0);
    offset = b.where(b.equal(values, y), whole(distance), offset);
  }
  const corners = outs.map((out, axis) => {
    const at = Array.from({ length: out }, (_, index) => (index * strides[axis]! - begins[axis]!) * steps[axis]!);
    return b.constant('int32', [out, ...fill(1, rank - 1 - axis)], at);
  });
  const images = b.mul(b.dimension(x, 0), b.dimension(x, 1));
  const image = b.op('Range', [b.squeeze(b.int64s([0]), [0]), b.squeeze(images, [0]), b.squeeze(b.int64s([1]), [0])]);
  const first = b.mul(b.cast(image, 'int32'), whole(product(sizes)));
  const base = b.reshape(first, b.concat([b.dimension(x, 0), b.dimension(x, 1), b.int64s(fill(1, rank))], 0), [
    ...b.dims(x)!.slice(0, 2),
    ...fill(1, rank),
  ]);
  const indices = [...corners, base].reduce((sum, part) => b.add(sum, part), offset);
  return [y, b.cast(indices, 'int64')];
};

/** All places of a window, rows before columns. */
function places(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (all, size) => all.flatMap((place) => Array.from({ length: size }, (_, at) => [...place, at])),
    [[]],
  );
}

/** Its LayerNormalization wants scale and bias in full. */
const layerNormalization: Decomposition = (b, node) => {
  const [x, scale] = [node.inputs[0]!, node.inputs[1]!];
  const bias = given(node, 2);
  const dims = b.dims(x);
  if (dims === undefined) return undefined;
  const normalized = dims.slice(positiveAxis(intAttribute(node, 'axis', -1), dims.length));
  const short = [scale, bias].some((value) => value !== undefined && b.dims(value)?.join() !== normalized.join());
  if (!isStatic(normalized) || !short) return undefined;
  const full = (value: ValueName) => b.op('Expand', [value, b.int64s(normalized)], {}, { dims: normalized });
  return b.emit('LayerNormalization', [x, full(scale), ...(bias === undefined ? [] : [full(bias)])], node.attributes, {
    outputs: node.outputs.length,
  });
};

/** Its Slice goes backwards from the end, whatever the start: what is wanted is cut out first, then turned round. */
const slice: Decomposition = (b, node) => {
  const [x, starts, ends, axesInput, stepsInput] = node.inputs as [ValueName, ...(ValueName | undefined)[]];
  const steps = stepsInput ? b.numbers(stepsInput) : undefined;
  const axes = axesInput ? b.numbers(axesInput) : steps?.map((_, axis) => axis);
  const backwards = steps?.map((step) => step < 0) ?? [];
  if (steps === undefined || axes === undefined || !backwards.includes(true)) return undefined;
  const known = b.numbers(starts!);
  if (known !== undefined && steps.every((step, at) => step > 0 || known[at] === -1)) return undefined;
  const number = (value: number) => b.int64s(steps.map(() => value));
  const sizes = b.gather(b.shape(x), b.int64s(axes), 0);
  /** A bound counted from the front, within `lowest` and the last element. */
  const bound = (value: ValueName, lowest: number) => {
    const whole = b.cast(value, 'int64');
    const counted = b.where(b.less(whole, number(0)), b.add(whole, sizes), whole);
    return b.op('Min', [b.op('Max', [counted, number(lowest)]), b.sub(sizes, number(1))]);
  };
  const turns = b.constant('bool', [steps.length], backwards.map(Number));
  const from = b.where(turns, b.add(bound(ends!, -1), number(1)), b.cast(starts!, 'int64'));
  const to = b.where(turns, b.add(bound(starts!, 0), number(1)), b.cast(ends!, 'int64'));
  const part = b.slice(
    x,
    from,
    to,
    axes,
    steps.map((step) => Math.max(step, 1)),
  );
  const turned = axes.filter((_, at) => backwards[at]);
  return [
    b.slice(
      part,
      b.int64s(fill(-1, turned.length)),
      b.int64s(fill(-FAR, turned.length)),
      turned,
      steps.filter((step) => step < 0),
    ),
  ];
};

/**
 * Its convolutions have channels last, and what turns the layout round on the way there takes the list of a Pad for one over
 * all axes: it is made one, with the axes named still (see `GraphBuilder.pad`).
 */
const pad: Decomposition = (b, node) => {
  const [x, pads, value, axes] = node.inputs as [ValueName, ValueName, ...(ValueName | undefined)[]];
  const [own, at] = [b.numbers(pads), axes ? b.numbers(axes) : undefined];
  const rank = b.dims(x)?.length;
  if (own === undefined || at === undefined || rank === undefined) return undefined;
  if (at.length === rank && at.every((axis, index) => axis === index)) return undefined;
  const full = fill(0, 2 * rank);
  at.forEach((axis, index) => {
    const place = positiveAxis(axis, rank);
    full[place] = own[index]!;
    full[place + rank] = own[index + at.length]!;
  });
  return [padAll(b, x, full, value ?? '', node.attributes)];
};

function padAll(
  b: GraphBuilder,
  x: ValueName,
  pads: readonly number[],
  value: ValueName,
  attributes: Node['attributes'],
): ValueName {
  const axes = b.int64s(Array.from({ length: pads.length / 2 }, (_, axis) => axis));
  return b.op('Pad', [x, b.int64s(pads), value, axes], attributes);
}

/** The build for browsers has no Dropout, which does nothing unless in training. */
const dropout: Decomposition = (b, node) => {
  const x = node.inputs[0]!;
  const training = given(node, 2);
  if (training !== undefined && b.numbers(training)?.[0] !== 0) return undefined;
  return [b.op('Identity', [x]), asked(node, 1) ? b.cast(b.onesLike(x), 'bool') : undefined];
};

/**
 * Its Resize has no antialias: products with the matrices along the axes. These are Resize of the identity, a constant, which
 * onnxruntime computes on the CPU when it loads the model.
 */
const resize: Decomposition = (b, node) => {
  const [x, , scales, sizes] = node.inputs as [ValueName, ...(ValueName | undefined)[]];
  if (intAttribute(node, 'antialias', 0) === 0 || isConstant(b, x)) return undefined;
  const axes = resizedAxes(b, node);
  const known = [scales, sizes].every((value) => !value || b.numbers(value) !== undefined);
  if (!known || axes.some(({ axis }) => typeof b.dims(x)?.[axis] !== 'number')) return undefined;
  return [axes.reduce((value, { axis, matrix }) => multiplyAlong(b, value, matrix(), axis), x)];
};

/** Whether a value follows from weights alone, so that it is computed once and for all. */
function isConstant(b: GraphBuilder, value: ValueName): boolean {
  const producer = b.producer(value);
  if (producer === undefined) return b.weight(value) !== undefined;
  return producer.inputs.every((input) => input === '' || isConstant(b, input));
}

/** Further than any tensor reaches. */
const FAR = 2 ** 31 - 1;

/** sin r = r - r^3/3! + r^5/5! - ...: of r^2, the highest first; below 1e-7 off up to pi/2. */
const SINE = [-1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1];
/** pi in two parts: the first has few digits, so that its multiples are exact. */
const PI = [3.140625, Math.PI - 3.140625] as const;

/**
 * WGSL promises sine and cosine to 5e-4 only, and nothing beyond pi, where rotary position embeddings go. With q the
 * nearest multiple of pi (for the cosine the nearest odd half): sin x = (-1)^q sin(x - q pi).
 */
const trigonometric =
  (shift: 0 | 0.5): Decomposition =>
  (b, node) => {
    const x = node.inputs[0]!;
    if (b.type(x) !== 'float32') return undefined;
    const number = (value: number) => b.scalar(value, x);
    const q = b.op('Floor', [b.add(b.mul(x, number(1 / Math.PI)), number(0.5 - shift))]);
    const multiple = shift === 0 ? q : b.add(q, number(shift));
    const rest = PI.reduce((value, part) => b.sub(value, b.mul(multiple, number(part))), x);
    const square = b.mul(rest, rest);
    const series = SINE.slice(1).reduce((sum, factor) => b.add(b.mul(sum, square), number(factor)), number(SINE[0]!));
    const odd = b.sub(q, b.mul(b.op('Floor', [b.mul(q, number(0.5))]), number(2)));
    // cos x = sin(x + pi/2) = -(-1)^q sin(x - (q + 1/2) pi)
    const sign = shift === 0 ? b.sub(number(1), b.mul(odd, number(2))) : b.sub(b.mul(odd, number(2)), number(1));
    return [b.mul(sign, b.mul(rest, series))];
  };

const LOWERINGS: ReadonlyMap<string, Decomposition> = new Map<string, Decomposition>([
  ['MaxPool', maxPool],
  ['Conv', convolution],
  ['ConvTranspose', transposedConvolution],
  ['LayerNormalization', layerNormalization],
  ['Slice', slice],
  ['Pad', pad],
  ['Dropout', dropout],
  ['Resize', resize],
  ['Sin', trigonometric(0)],
  ['Cos', trigonometric(0.5)],
]);
