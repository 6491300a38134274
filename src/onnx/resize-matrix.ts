/** Resize is linear and works axis by axis: its matrix along an axis is Resize itself applied to the identity. */
import type { GraphBuilder } from './builder.ts';
import { positiveAxis } from './dims.ts';
import { UserError } from './errors.ts';
import type { Node, ValueName } from './model.ts';
import { intsAttribute, stringAttribute, nodeLabel } from './model.ts';

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
  const image = b.unsqueeze(identity, [0, 1]);
  // What stands outside the image is a constant: it adds nothing to the gradient.
  const dropped = new Set(['axes', 'keep_aspect_ratio_policy', 'extrapolation_value']);
  const attributes = Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !dropped.has(name)));
  const pick = (list: ValueName, at = index) => b.slice(list, b.int64s([at]), b.int64s([at + 1]), [0]);
  const [, roi, scales, givenSizes] = node.inputs;
  const kept = keptScale(b, node, x, axis);
  const sizes = kept === undefined ? givenSizes : undefined;
  const scale = kept ?? (scales ? b.numbers(scales)?.[index] : undefined);
  const lateScales = () => b.concat([b.constant('float32', [3], [1, 1, 1]), pick(scales!)], 0);
  const region = () => {
    const count = (intsAttribute(node, 'axes') ?? b.dims(x)!).length;
    const ends = (value: number) => b.constant(b.type(roi!), [3], [value, value, value]);
    return b.concat([ends(0), pick(roi!), ends(1), pick(roi!, index + count)], 0);
  };
  const crop =
    roi && stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize' ? region() : '';
  const resized = sizes
    ? b.op('Resize', [image, crop, '', b.concat([b.int64s([1, 1]), length, pick(sizes)], 0)], attributes)
    : b.op(
        'Resize',
        [image, crop, scale === undefined ? lateScales() : b.constant('float32', [4], [1, 1, 1, scale])],
        attributes,
      );
  return b.squeeze(resized, [0, 1]);
}

/** The one scale of all axes where their ratio is kept; undefined where each has its own. */
function keptScale(b: GraphBuilder, node: Node, x: ValueName, axis: number): number | undefined {
  const policy = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch');
  const sizes = node.inputs[3] ? b.numbers(node.inputs[3]) : undefined;
  if (policy === 'stretch' || !node.inputs[3]) return undefined;
  const dims = b.dims(x);
  const axes = intsAttribute(node, 'axes')?.map((each) => b.axis(x, each)) ?? dims?.map((_, at) => at);
  const ratios = axes?.map((each, at) => {
    const [from, to] = [dims?.[each], sizes?.[at]];
    return typeof from === 'number' && to !== undefined ? to / from : Number.NaN;
  });
  const scale = policy === 'not_larger' ? Math.min(...(ratios ?? [])) : Math.max(...(ratios ?? []));
  const [from, to] = [dims?.[axis], b.dims(node.outputs[0]!)?.[axis]];
  const whole = typeof from === 'number' ? Math.round(from * scale) : undefined;
  // Resize by a scale rounds down, by a kept ratio to the nearest: only where these agree can one stand for the other.
  if (
    typeof from !== 'number' ||
    whole === undefined ||
    Math.floor(from * scale) !== whole ||
    (typeof to === 'number' && to !== whole)
  )
    throw new UserError(
      `Resize "${nodeLabel(node)}": keep_aspect_ratio_policy has a gradient only where lengths come out whole`,
    );
  return scale;
}
