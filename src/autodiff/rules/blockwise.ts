/** Scales that differ by block of an axis: spread over the elements they belong to, and gradients summed back. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { UserError, intAttribute, isStatic, nodeLabel } from '../../onnx/index.ts';

interface Blocks {
  readonly axis: number;
  readonly size: number;
  /** Dims of the quantised value, and of its scales. */
  readonly dims: readonly number[];
  readonly scales: readonly number[];
}

function blocksOf(b: GraphBuilder, node: Node): Blocks {
  const [x, scale] = [node.inputs[0]!, node.inputs[1]!];
  const [dims, scales] = [b.dims(x), b.dims(scale)];
  if (!isStatic(dims) || !isStatic(scales))
    throw new UserError(`${node.operator} "${nodeLabel(node)}": scales per block have a gradient only for known dims`);
  return { axis: b.axis(x, intAttribute(node, 'axis', 1)), size: intAttribute(node, 'block_size', 0), dims, scales };
}

const replaced = (list: readonly number[], axis: number, ...values: number[]) => [
  ...list.slice(0, axis),
  ...values,
  ...list.slice(axis + 1),
];

/** One number per block as one per element. */
export function spreadBlocks(b: GraphBuilder, node: Node, perBlock: ValueName): ValueName {
  const { axis, size, dims, scales } = blocksOf(b, node);
  const ones = Array<number>(dims.length).fill(1);
  const wide = b.op('Expand', [b.unsqueeze(perBlock, [axis + 1]), b.int64s(replaced(ones, axis, 1, size))]);
  const whole = b.reshapeTo(wide, replaced(scales, axis, scales[axis]! * size));
  // The last block may be shorter.
  return scales[axis]! * size === dims[axis]
    ? whole
    : b.slice(whole, b.int64s([0]), b.int64s([dims[axis]!]), [axis], undefined, dims);
}

/** One number per element, summed over each block. */
export function sumBlocks(b: GraphBuilder, node: Node, perElement: ValueName): ValueName {
  const { axis, size, dims, scales } = blocksOf(b, node);
  const missing = scales[axis]! * size - dims[axis]!;
  const pads = Array<number>(2 * dims.length).fill(0);
  pads[dims.length + axis] = missing;
  const filled = replaced(dims, axis, scales[axis]! * size);
  const whole = missing === 0 ? perElement : b.pad(perElement, b.int64s(pads), filled);
  return b.sum(b.reshapeTo(whole, replaced(filled, axis, scales[axis]!, size)), [axis + 1], false);
}
