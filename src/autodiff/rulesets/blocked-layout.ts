/**
 * What onnxruntime's CPU keeps in its blocked layout, [N, C / 8, H, W, 8] or by 16: convolutions, pools and what is
 * elementwise between them. Any other operator gets a copy of the tensor in the plain layout. Which values lie in blocks
 * is found here as onnxruntime finds it; a mistake would cost time, never a wrong number.
 */
import { float, int, ints, intAttribute, intsAttribute, isStatic, string, stringAttribute } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';

/** Channels of a depthwise convolution must fill whole blocks: of 8 or 16, by the processor. */
const BLOCK = 16;
const SMALL_BLOCK = 8;
/** A tensor that was taken apart into more is not looked at: the walk is as long as the graph is deep. */
const MOST_STEPS = 2000;

/** Whether a value lies in the blocked layout where it is made. */
export function inBlocks(b: GraphBuilder, value: ValueName): boolean {
  const seen = new Map<ValueName, boolean>();
  const ask = (name: ValueName): boolean => {
    const known = seen.get(name);
    if (known !== undefined) return known;
    if (seen.size > MOST_STEPS) return false;
    // Until it is known otherwise: graphs have no cycles.
    seen.set(name, false);
    const node = b.producer(name);
    const found = node !== undefined && b.type(name) === 'float32' && b.dims(name)?.length === 4 && made(b, node, ask);
    seen.set(name, found);
    return found;
  };
  return ask(value);
}

/** Whether a node gives its output in blocks; `ask` says it of its inputs. */
function made(b: GraphBuilder, node: Node, ask: (name: ValueName) => boolean): boolean {
  const [x] = node.inputs as [ValueName];
  if (node.domain !== '') return isQuickGelu(node) && ask(x);
  switch (node.operator) {
    case 'Conv':
      return convolvesBlocks(b, node);
    case 'MaxPool':
    case 'AveragePool':
      return node.outputs.length === 1 && wholeBlocks(b, x, SMALL_BLOCK);
    case 'Clip':
      // Only as part of a convolution; there alone it is all that reads its output.
      return b.producer(x)?.operator === 'Conv' && ask(x);
    case 'Relu':
    case 'Sigmoid':
    case 'HardSigmoid':
    case 'HardSwish':
    case 'Gelu':
    case 'Tanh':
    case 'BatchNormalization':
    case 'GlobalAveragePool':
    case 'GlobalMaxPool':
      return ask(x);
    case 'Resize':
      return isSpread(b, node) && ask(x);
    case 'Add':
    case 'Sum':
    case 'Mul':
      return sameDims(b, node.inputs) && node.inputs.every(ask);
    case 'Concat':
      return (
        b.axis(x, intAttribute(node, 'axis', 0)) === 1 &&
        node.inputs.every((name) => wholeBlocks(b, name, SMALL_BLOCK) && ask(name))
      );
    default:
      return false;
  }
}

/** x sigmoid(alpha x) */
export const isQuickGelu = ({ operator, domain }: Node): boolean =>
  operator === 'QuickGelu' && domain === 'com.microsoft';

function convolvesBlocks(b: GraphBuilder, node: Node): boolean {
  const [outputs, perGroup] = b.dims(node.inputs[1]!) ?? [];
  const group = intAttribute(node, 'group', 1);
  if (typeof outputs !== 'number' || typeof perGroup !== 'number') return false;
  // Few input channels, as a picture's, are read as they lie.
  if (group === 1) return perGroup < SMALL_BLOCK || perGroup % SMALL_BLOCK === 0;
  if (perGroup === 1 && outputs === group) return outputs % SMALL_BLOCK === 0;
  return perGroup % SMALL_BLOCK === 0 && (outputs / group) % SMALL_BLOCK === 0;
}

function wholeBlocks(b: GraphBuilder, value: ValueName, block: number): boolean {
  const channels = b.dims(value)?.[1];
  return typeof channels === 'number' && channels % block === 0;
}

function sameDims(b: GraphBuilder, names: readonly ValueName[]): boolean {
  const first = b.dims(names[0]!);
  return names.every((name) => b.dims(name)?.every((dim, axis) => dim !== undefined && dim === first?.[axis]));
}

/** Whether depthwise convolutions of a value work in blocks whatever the processor: [N, C, H, W] float32 with such a C. */
export function canBeBlocked(b: GraphBuilder, value: ValueName): boolean {
  return b.type(value) === 'float32' && b.dims(value)?.length === 4 && wholeBlocks(b, value, BLOCK);
}

/** factor * x + shift, as a depthwise convolution: in blocks, wherever x lies. */
export function affine(b: GraphBuilder, x: ValueName, factor: number, shift = 0): ValueName {
  const channels = b.dims(x)![1] as number;
  const fill = (value: number) => Array<number>(channels).fill(value);
  const inputs = [x, b.constant('float32', [channels, 1, 1, 1], fill(factor))];
  if (shift !== 0) inputs.push(b.constant('float32', [channels], fill(shift)));
  return b.op('Conv', inputs, { group: int(channels), kernel_shape: ints([1, 1]) }, { dims: b.dims(x) });
}

/** So steep that a hard sigmoid is a step. A power of two keeps products exact. */
export const HUGE = 2 ** 100;

/** 1 where factor * x + shift is positive, 0 where it is 0 or less. */
export function step(b: GraphBuilder, x: ValueName, factor: number, shift: number): ValueName {
  return b.op('HardSigmoid', [x], { alpha: float(factor * HUGE), beta: float(shift * HUGE) });
}

/** Whether masks made of a value stay in blocks. */
export const stays = (b: GraphBuilder, value: ValueName): boolean => canBeBlocked(b, value) && inBlocks(b, value);

/** The value in blocks, brought there where it lies otherwise. */
export const enter = (b: GraphBuilder, x: ValueName): ValueName => (inBlocks(b, x) ? x : affine(b, x, 1));

/**
 * A pixel [N, C, 1, 1] repeated over a plane: along a row by a Resize, which onnxruntime runs in one thread, and from row to row by
 * the maximum over windows that hold one of the row's elements and else padding, which it does not. `again` takes windows
 * with one element of padding more, so that for onnxruntime it is another node.
 */
export function spread(
  b: GraphBuilder,
  pixel: ValueName,
  height: number,
  width: number,
  { again = false } = {},
): ValueName {
  const [rows, channels] = b.dims(pixel)!;
  const more = again ? 1 : 0;
  const windows = { kernel_shape: ints([height + more, 1]), pads: ints([height - 1 + more, 0, height - 1, 0]) };
  return b.op('MaxPool', [enlarge(b, pixel, 1, width)], windows, { dims: [rows, channels, height, width] });
}

/** How often a maximum over windows repeats a single row, as in `spread`; undefined where it is any other. */
export function repeatsRow(b: GraphBuilder, node: Node): number | undefined {
  if (node.operator !== 'MaxPool' || node.outputs.length > 1 || spatial(b, node.inputs[0]!)?.[0] !== 1)
    return undefined;
  const [count, width] = intsAttribute(node, 'kernel_shape') ?? [];
  const [strides, pads] = [intsAttribute(node, 'strides') ?? [1, 1], intsAttribute(node, 'pads') ?? []];
  const padded = pads.join() === [count! - 1, 0, count! - 1, 0].join();
  return width === 1 && padded && strides.join() === '1,1' ? count : undefined;
}

/** Each element of [N, C, H, W] `height` times `width` times, side by side. */
function enlarge(b: GraphBuilder, x: ValueName, height: number, width: number): ValueName {
  const [rows, channels, h, w] = b.dims(x)!;
  const attributes = {
    mode: string('nearest'),
    coordinate_transformation_mode: string('asymmetric'),
    nearest_mode: string('floor'),
  };
  const scales = b.constant('float32', [4], [1, 1, height, width]);
  return b.op('Resize', [x, '', scales], attributes, {
    dims: [rows, channels, (h as number) * height, (w as number) * width],
  });
}

/** The whole factors of a node that repeats each pixel, as `enlarge` makes it. */
export function spreadFactors(b: GraphBuilder, node: Node): readonly [number, number] | undefined {
  if (
    node.inputs.length !== 3 ||
    stringAttribute(node, 'mode', 'nearest') !== 'nearest' ||
    stringAttribute(node, 'coordinate_transformation_mode', '') !== 'asymmetric' ||
    stringAttribute(node, 'nearest_mode', '') !== 'floor' ||
    node.attributes['axes'] !== undefined
  )
    return undefined;
  const scales = b.numbers(node.inputs[2]!);
  if (scales?.length !== 4 || scales[0] !== 1 || scales[1] !== 1) return undefined;
  const [height, width] = scales.slice(2) as [number, number];
  return Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0 ? [height, width] : undefined;
}

const isSpread = (b: GraphBuilder, node: Node): boolean => spreadFactors(b, node) !== undefined;

/**
 * [N, C, h, w] with zeros behind each element, to [N, C, strides h, strides w]: every element repeated, and all but the
 * first of each taken out by a mask, whose channels are made by a convolution too.
 */
export function stuff(b: GraphBuilder, x: ValueName, [down, right]: readonly [number, number]): ValueName {
  const wide = enlarge(b, x, down, right);
  const dims = b.dims(wide)!;
  const [rows, channels, height, width] = dims as [string | number, number, number, number];
  const firsts = (length: number, stride: number) => Array.from({ length }, (_, at) => (at % stride === 0 ? 1 : 0));
  const plane = b.mul(
    b.constant('float32', [1, 1, height, 1], firsts(height, down)),
    b.constant('float32', [1, 1, 1, width], firsts(width, right)),
  );
  const shape = b.concat([b.dimension(x, 0), b.int64s([1, height, width])], 0);
  const planes = b.op('Expand', [plane, shape], {}, { dims: [rows, 1, height, width] });
  const ones = b.constant('float32', [channels, 1, 1, 1], Array<number>(channels).fill(1));
  const mask = b.op('Conv', [planes, ones], { kernel_shape: ints([1, 1]) }, { dims });
  return b.mul(wide, mask);
}

/** Elements of a row of a value that can be blocked; 0 where they are not known. */
export function rowSize(b: GraphBuilder, value: ValueName): number {
  const [size, channels] = [spatial(b, value), b.dims(value)?.[1]];
  return size === undefined ? 0 : size[0] * size[1] * (channels as number);
}

/** Height and width, where both are known. */
export function spatial(b: GraphBuilder, value: ValueName): readonly [number, number] | undefined {
  const lengths = b.dims(value)?.slice(2);
  return isStatic(lengths) && lengths.length === 2 ? (lengths as [number, number]) : undefined;
}
