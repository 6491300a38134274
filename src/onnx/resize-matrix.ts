/** Resize is linear and works axis by axis: its matrix along an axis is Resize itself applied to the identity. */
import type { GraphBuilder } from './builder.ts';
import { positiveAxis } from './dims.ts';
import { UserError } from './errors.ts';
import type { Node, ValueName } from './model.ts';
import { ints, intsAttribute, string, stringAttribute } from './model.ts';

export interface ResizedAxis {
  readonly axis: number;
  /** M [in, out] with y = x M along the axis. */
  readonly matrix: () => ValueName;
}

/** The axes along which a Resize node changes anything, and their matrices. */
export function resizedAxes(b: GraphBuilder, node: Node): ResizedAxis[] {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  const rank = b.rank(x);
  const axes =
    intsAttribute(node, 'axes')?.map((axis) => positiveAxis(axis, rank)) ??
    Array.from({ length: rank }, (_, axis) => axis);
  return axes.flatMap((axis, index) => {
    const [from, to] = [b.dims(x)?.[axis], b.dims(y)?.[axis]];
    const scale = node.inputs[2] ? b.numbers(node.inputs[2])?.[index] : undefined;
    const crops = stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize';
    const same = !crops && (scale === 1 || (from !== undefined && from === to));
    return same ? [] : [{ axis, matrix: () => resizeMatrix(b, node, x, axis, index) }];
  });
}

/** Multiplies along one axis with a matrix [in, out]. */
export function multiplyAlong(b: GraphBuilder, value: ValueName, matrix: ValueName, axis: number): ValueName {
  const order = Array.from({ length: b.rank(value) }, (_, at) => at);
  const last = [...order.filter((at) => at !== axis), axis];
  const moved = b.matmul(b.transpose(value, last), matrix);
  return b.transpose(
    moved,
    order.map((at) => last.indexOf(at)),
  );
}

/** M [in, out] with y = x M along the axis. */
function resizeMatrix(b: GraphBuilder, node: Node, x: ValueName, axis: number, index: number): ValueName {
  const length = b.dimension(x, axis);
  const square = b.concat([length, length], 0);
  const zero = { kind: 'tensor', value: b.weightOf(b.type(x), [1], [0]) } as const;
  const known = b.dims(x)?.[axis];
  const identity = b.op('EyeLike', [b.op('ConstantOfShape', [square], { value: zero }, { dims: [known, known] })]);
  const [, roi, scales, sizes] = node.inputs;
  const pick = (list: ValueName, at = index) => b.slice(list, b.int64s([at]), b.int64s([at + 1]), [0]);
  const region = () => {
    const count = (intsAttribute(node, 'axes') ?? b.dims(x)!).length;
    const ends = (value: number) => b.constant(b.type(roi!), [3], [value, value, value]);
    return b.concat([ends(0), pick(roi!), ends(1), pick(roi!, index + count)], 0);
  };
  const crop =
    roi && stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize' ? region() : '';
  const resize = (image: ValueName, inputs: readonly ValueName[], extra: Node['attributes'] = {}) =>
    b.op('Resize', [image, crop, ...inputs], { ...ownAttributes(node), ...extra });
  const leading = leadingAxis(b, node, x);
  if (leading !== undefined && leading.axis !== axis) {
    // [1, in, leading, in]: along the third axis all is equal, and stays so, but it decides the scale of the fourth.
    const dims = b.concat([b.int64s([1]), length, leading.length, length], 0);
    const image = b.op('Expand', [b.unsqueeze(identity, [0, 2]), dims]);
    const kept = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch');
    const lengths = b.concat([leading.size, pick(sizes!)], 0);
    const resized = resize(image, ['', lengths], { axes: ints([2, 3]), keep_aspect_ratio_policy: string(kept) });
    return b.squeeze(b.gather(resized, b.int64s([0]), 2), [0, 2]);
  }
  const image = b.unsqueeze(identity, [0, 1]);
  if (sizes) return b.squeeze(resize(image, ['', b.concat([b.int64s([1, 1]), length, pick(sizes)], 0)]), [0, 1]);
  const scale = b.numbers(scales!)?.[index];
  const factors =
    scale === undefined
      ? b.concat([b.constant('float32', [3], [1, 1, 1]), pick(scales!)], 0)
      : b.constant('float32', [4], [1, 1, 1, scale]);
  return b.squeeze(resize(image, [factors]), [0, 1]);
}

/** What stands outside the image is a constant: it adds nothing to the gradient. */
const DROPPED = new Set(['axes', 'keep_aspect_ratio_policy', 'extrapolation_value']);
const ownAttributes = (node: Node): Node['attributes'] =>
  Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !DROPPED.has(name)));

const divisor = (left: number, right: number): number => (right === 0 ? left : divisor(right, left % right));

/** The axis whose ratio all others follow, and the smallest lengths of that ratio; undefined where each has its own. */
function leadingAxis(b: GraphBuilder, node: Node, x: ValueName) {
  const policy = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch');
  const sizes = node.inputs[3];
  if (policy === 'stretch' || !sizes) return undefined;
  const dims = b.dims(x);
  const axes = intsAttribute(node, 'axes')?.map((each) => b.axis(x, each)) ?? dims?.map((_, at) => at) ?? [];
  const known = b.numbers(sizes);
  const ratios = axes.map((axis, at) => {
    const [from, to] = [dims?.[axis], known?.[at]];
    return typeof from === 'number' && to !== undefined ? to / from : Number.NaN;
  });
  const at = ratios.indexOf(policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios));
  if (at < 0)
    throw new UserError(
      `Resize "${node.name}": keep_aspect_ratio_policy has a gradient only where the lengths before and after are known`,
    );
  const [from, to] = [dims![axes[at]!] as number, known![at]!];
  const common = divisor(from, to);
  return { axis: axes[at]!, length: b.int64s([from / common]), size: b.int64s([to / common]) };
}
