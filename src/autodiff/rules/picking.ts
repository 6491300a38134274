/** Gradients of operators that pick elements of their input, where not enough is known to say which. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { int } from '../../onnx/index.ts';

/** The elements' positions in a flat tensor, in the shape of `x`, and how many there are, as a scalar. */
function numbered(b: GraphBuilder, x: ValueName): { readonly positions: ValueName; readonly count: ValueName } {
  const count = b.op('ReduceProd', [b.op('Shape', [x])], { keepdims: int(0) });
  const [zero, one] = [b.constant('int64', [], [0]), b.constant('int64', [], [1])];
  return { positions: b.reshape(b.op('Range', [zero, count, one]), b.op('Shape', [x]), b.dims(x)), count };
}

/** dY added into a flat tensor of `length` zeros, an int64 scalar, at the positions given. */
function gathered(b: GraphBuilder, dY: ValueName, positions: ValueName, length: ValueName): ValueName {
  const zero = { kind: 'tensor', value: b.weightOf(b.type(dY), [1], [0]) } as const;
  const zeros = b.op('ConstantOfShape', [b.unsqueeze(length, [0])], { value: zero }, { dims: [undefined] });
  return b.scatterAddElements(zeros, b.reshapeTo(positions, [-1]), b.reshapeTo(dY, [-1]), 0);
}

/** The same operator on the elements' positions tells where each came from, whatever its other inputs are. */
export function pickedBack(b: GraphBuilder, node: Node, dY: ValueName): ValueName {
  const [x, ...others] = node.inputs as [ValueName, ...ValueName[]];
  const { positions, count } = numbered(b, x);
  const picked = b.op('Slice', [positions, ...others], node.attributes);
  return b.reshape(gathered(b, dY, picked, count), b.op('Shape', [x]), b.dims(x));
}

/** Of Pad: what stands where padding is goes into one element more, which is the gradient of the value that it pads with. */
export function paddedBack(
  b: GraphBuilder,
  node: Node,
  dY: ValueName,
): { readonly x: () => ValueName; readonly value: (like: ValueName) => ValueName } {
  const [x, pads, , axes] = node.inputs as [ValueName, ValueName, ValueName?, ValueName?];
  const { positions, count } = numbered(b, x);
  const padded = b.op('Pad', [positions, pads, count, axes ?? ''], node.attributes);
  const all = gathered(b, dY, padded, b.add(count, b.constant('int64', [], [1])));
  const [zero, end] = [b.int64s([0]), b.unsqueeze(count, [0])];
  return {
    x: () => b.reshape(b.slice(all, zero, end, [0]), b.op('Shape', [x]), b.dims(x)),
    value: (like) => b.reshapeLike(b.slice(all, end, b.add(end, b.int64s([1])), [0]), like),
  };
}
