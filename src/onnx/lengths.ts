/** Lengths that two parts of onnxruntime would not agree about, said outright. */
import type { Decomposition } from './decompose/decomposition.ts';
import { decomposeModel } from './decompose/index.ts';
import { isStatic, positiveAxis } from './dims.ts';
import { windowLength } from './infer/compute.ts';
import type { Model } from './model.ts';
import { intAttribute, ints, intsAttribute, stringAttribute } from './model.ts';

/**
 * Resize by scales: 10 by 0.7 is 7 for onnxruntime's kernel, which reckons in float32, and 6 for its shape inference, so that a
 * graph which goes on from there does not load. Such axes are resized to the kernel's length instead, which is the same
 * ratio; the others then follow by their scales, since an axis does not depend on another.
 */
const resize: Decomposition = (b, node) => {
  const [x, roi, scaled] = node.inputs;
  const [dims, scales] = [b.dims(x!), scaled ? b.numbers(scaled) : undefined];
  const crops = stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize';
  if (dims === undefined || scales === undefined || crops) return undefined;
  const axes = intsAttribute(node, 'axes')?.map((axis) => positiveAxis(axis, dims.length)) ?? dims.map((_, at) => at);
  const disputed = axes.flatMap((axis, index) => {
    const [length, scale] = [dims[axis], scales[index]];
    if (typeof length !== 'number' || scale === undefined) return [];
    const kernels = Math.floor(Math.fround(length * scale));
    return kernels === Math.floor(length * scale) ? [] : [{ axis, length: kernels }];
  });
  if (disputed.length === 0) return undefined;
  const { keep_aspect_ratio_policy: _, ...attributes } = node.attributes;
  const settled = b.op('Resize', [x!, roi ?? '', '', b.int64s(disputed.map(({ length }) => length))], {
    ...attributes,
    axes: ints(disputed.map(({ axis }) => axis)),
  });
  const others = axes
    .map((axis, index) => ({ axis, scale: scales[index]! }))
    .filter(({ axis, scale }) => scale !== 1 && !disputed.some((each) => each.axis === axis));
  if (others.length === 0) return [settled];
  const rest = b.constant(
    'float32',
    [others.length],
    others.map(({ scale }) => scale),
  );
  return [b.op('Resize', [settled, '', rest], { ...attributes, axes: ints(others.map(({ axis }) => axis)) })];
};

/**
 * Pools whose last window would begin behind the input: the kernel leaves it out, shape inference before opset 22 counts it.
 * Where no axis has a window that hangs over, the lengths are those without ceil_mode. And windows longer than the input, which
 * with a stride above 1 the kernel cuts off, while inference finds none: they are made as long as the input.
 */
const pool: Decomposition = (b, node) => {
  const lengths = b.dims(node.inputs[0]!)?.slice(2);
  const given = intsAttribute(node, 'kernel_shape');
  if (!isStatic(lengths) || given?.length !== lengths.length) return undefined;
  const of = (name: string, fallback: number, count = lengths.length) =>
    intsAttribute(node, name) ?? Array<number>(count).fill(fallback);
  const [strides, dilations, pads] = [of('strides', 1), of('dilations', 1), of('pads', 0, 2 * lengths.length)];
  const room = lengths.map((length, axis) => length + pads[axis]! + pads[axis + lengths.length]!);
  // Where pads count, the kernel divides by what it cut off, too.
  const cuts = intAttribute(node, 'count_include_pad', 0) === 0;
  const kernel = given.map((size, axis) => {
    const longest = room[axis]!;
    const isCut = cuts && strides[axis]! > 1 && dilations[axis] === 1 && longest > 0 && longest < size;
    return isCut ? longest : size;
  });
  const ceil = intAttribute(node, 'ceil_mode', 0) === 1;
  const hangsOver = lengths.some((length, axis) => {
    const [floor, up] = [false, true].map((mode) =>
      windowLength(length, kernel[axis]!, strides[axis]!, dilations[axis]!, room[axis]! - length, mode, pads[axis]),
    );
    return floor !== up;
  });
  if (kernel.join() === given.join() && (!ceil || hangsOver)) return undefined;
  const { ceil_mode, ...attributes } = node.attributes;
  return b.emit(
    node.operator === 'MaxPool' ? 'MaxPool' : 'AveragePool',
    node.inputs,
    { ...attributes, kernel_shape: ints(kernel), ceil_mode: hangsOver ? ceil_mode : undefined },
    { outputs: node.outputs.length },
  );
};

const DISPUTED = new Map([
  ['Resize', resize],
  ['MaxPool', pool],
  ['AveragePool', pool],
]);

export const explicitLengths = (model: Model): Model => decomposeModel(model, DISPUTED);
