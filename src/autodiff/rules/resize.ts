/** Resize is linear and works axis by axis: its matrix along an axis is Resize itself applied to the identity. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { UserError, intsAttribute, positiveAxis } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';

const resize = rule((b, node, dY) => [
  () => {
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const rank = b.rank(x);
    const axes =
      intsAttribute(node, 'axes')?.map((axis) => positiveAxis(axis, rank)) ??
      Array.from({ length: rank }, (_, axis) => axis);
    let gradient = dY;
    axes.forEach((axis, index) => {
      const [from, to] = [b.dims(x)?.[axis], b.dims(y)?.[axis]];
      const scale = node.inputs[2] ? b.numbers(node.inputs[2])?.[index] : undefined;
      if (scale === 1 || (from !== undefined && from === to)) return;
      gradient = contract(b, gradient, resizeMatrix(b, node, x, axis, index), axis);
    });
    return gradient;
  },
]);

/** M [in, out] with y = x M along the axis. */
function resizeMatrix(b: GraphBuilder, node: Node, x: ValueName, axis: number, index: number): ValueName {
  const length = b.dimension(x, axis);
  const square = b.concat([length, length], 0);
  const zero = { kind: 'tensor', value: b.weightOf(b.type(x), [1], [0]) } as const;
  const known = b.dims(x)?.[axis];
  const identity = b.op('EyeLike', [b.op('ConstantOfShape', [square], { value: zero }, { dims: [known, known] })]);
  const image = b.unsqueeze(identity, [0, 1]);
  const { axes: _axes, keep_aspect_ratio_policy: policy, ...attributes } = node.attributes;
  if (policy?.kind === 'string' && policy.value !== 'stretch')
    throw new UserError(`Resize "${node.name}": keep_aspect_ratio_policy has no gradient rule`);
  const pick = (list: ValueName) => b.slice(list, b.int64s([index]), b.int64s([index + 1]), [0]);
  const [, , scales, sizes] = node.inputs;
  const resized = sizes
    ? b.op('Resize', [image, '', '', b.concat([b.int64s([1, 1]), length, pick(sizes)], 0)], attributes)
    : b.op('Resize', [image, '', b.concat([b.constant('float32', [3], [1, 1, 1]), pick(scales!)], 0)], attributes);
  return b.squeeze(resized, [0, 1]);
}

/** Multiplies along one axis with the transposed matrix. */
function contract(b: GraphBuilder, value: ValueName, matrix: ValueName, axis: number): ValueName {
  const rank = b.rank(value);
  const back = b.transpose(matrix, [1, 0]);
  const order = Array.from({ length: rank }, (_, at) => at);
  const last = [...order.filter((at) => at !== axis), axis];
  const moved = b.matmul(b.transpose(value, last), back);
  const inverse = order.map((at) => last.indexOf(at));
  return b.transpose(moved, inverse);
}

export const resizing = { Resize: resize } satisfies Readonly<Record<string, Rule>>;
