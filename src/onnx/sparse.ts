/** Sparse tensors made dense: onnxruntime does the same when it loads them. */
import { UserError } from './errors.ts';
import type { Weight } from './model.ts';
import { sizeOf } from './tensor.ts';
import { byteLength, weightNumbers } from './weight.ts';

/** A few bytes may stand for any number of zeros: not more than this many for each byte of a value are written out. */
const MOST_ZEROS = 1024;
/** What is always written out, and what never is, in bytes. */
const [SMALL, LARGEST] = [2 ** 20, 2 ** 30];

/** The dense tensor of `dims` that has `values` at `indices`: flat positions [n], or coordinates [n, rank]. */
export function denseWeight(name: string, values: Weight, indices: Weight, dims: readonly number[]): Weight {
  const bytes = byteLength(values.type, dims);
  const step = byteLength(values.type, [1]);
  const count = sizeOf(values.dims);
  const places = weightNumbers(indices, Number.MAX_SAFE_INTEGER);
  if (values.storage.kind !== 'bytes' || places === undefined || byteLength(values.type, [2]) !== 2 * step)
    throw new UserError(
      `the sparse weight "${name}" has values of a kind that is not supported: convert it to a dense one`,
    );
  if (!(bytes <= Math.min(LARGEST, Math.max(SMALL, MOST_ZEROS * values.storage.bytes.length))))
    throw new UserError(
      `the sparse weight "${name}" would take ${bytes} bytes: convert it to a dense one of this size`,
    );
  const rank = indices.dims.length === 2 ? indices.dims[1]! : 1;
  const dense = new Uint8Array(bytes);
  for (let at = 0; at < count; at++) {
    let place = 0;
    if (rank === 1 && indices.dims.length !== 2) place = places[at] ?? -1;
    else for (let axis = 0; axis < rank; axis++) place = place * dims[axis]! + (places[at * rank + axis] ?? -1);
    if (!(place >= 0 && place * step < bytes))
      throw new UserError(`not a valid ONNX model: the sparse weight "${name}" has an index outside of its dims`);
    dense.set(values.storage.bytes.subarray(at * step, (at + 1) * step), place * step);
  }
  return { type: values.type, dims, storage: { kind: 'bytes', bytes: dense } };
}
