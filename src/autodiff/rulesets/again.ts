/**
 * What the backward pass computes once more instead of keeping it since the forward pass: of large factors by channel the pixel is
 * kept, not the plane. onnxruntime merges nodes that are equal, so the second is written otherwise.
 */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import { canBeBlocked, repeatsRow, rowSize, spread, spreadFactors } from './blocked-layout.ts';

/** Elements of a row from which on a plane is computed again. */
const LARGE = 2 ** 18;

/** A factor as the backward pass reads it. */
export function again(b: GraphBuilder, value: ValueName): ValueName {
  const node = b.producer(value);
  if (node === undefined) return value;
  const row = b.producer(node.inputs[0] ?? '');
  const [height, factors] = [repeatsRow(b, node), row && spreadFactors(b, row)];
  if (height === undefined || factors?.[0] !== 1 || !canBeBlocked(b, value) || rowSize(b, value) < LARGE) return value;
  return spread(b, row!.inputs[0]!, height, factors[1], { again: true });
}
