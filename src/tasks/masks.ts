/** What instance segmentation answers: a mask for each box. */
import { UserError } from '../onnx/index.ts';

/**
 * Weights that pick the mean over one instance's mask out of masks [1, ..., height, width]: its places with more than `least`,
 * within its box (in shares of the picture), as far as the maps are coarser than the picture.
 * Throws a UserError when there is no such place.
 */
export function maskWeights(
  values: ArrayLike<number>,
  dims: readonly number[],
  { row, least }: { readonly row: number; readonly least: number },
  box: { readonly x0: number; readonly y0: number; readonly x1: number; readonly y1: number },
): Float32Array {
  const [height, width] = dims.slice(-2) as [number, number];
  const weights = new Float32Array(values.length);
  const inside: number[] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const within = x >= box.x0 * width && x < box.x1 * width && y >= box.y0 * height && y < box.y1 * height;
      const at = (row * height + y) * width + x;
      if (within && values[at]! > least) inside.push(at);
    }
  if (inside.length === 0) throw new UserError('the mask of this box is empty: explain its class instead');
  for (const at of inside) weights[at] = 1 / inside.length;
  return weights;
}
