import { byteLength, valuesCaptured } from '../onnx/index.ts';
import type { Model, Node, ValueName } from '../onnx/index.ts';

/** From this many bytes of matrices on, packed copies of them cost more than they save. */
export const LARGE_WEIGHTS = 256 * 1024 ** 2;
/** A smaller matrix is not worth a page of its own. */
const LARGE_WEIGHT = 64 * 1024;

/** What reads a matrix where it lies: the products, and what onnxruntime fuses into them. */
const READERS: Readonly<Record<string, ReadonlySet<string>>> = {
  '': new Set(['MatMul', 'Gemm', 'Transpose', 'Gather']),
  'com.microsoft': new Set(['FusedMatMul']),
};
const readsInPlace = ({ domain, operator }: Node): boolean => READERS[domain]?.has(operator) ?? false;

/**
 * Weights that onnxruntime's CPU provider should read where they lie in the model's file instead of packing them, when
 * the model is so large that this matters (`from` bytes in all); none for smaller ones.
 *
 * A constant matrix is packed for each product it takes part in, and its transpose is one more constant: forward and
 * backward hold two copies of every weight, made over many seconds. A weight that a caller could override is neither
 * folded nor packed, and both products read the one copy that the system maps from the file. A product packs what it
 * needs as it goes, which costs little where a product has many rows (bench/README.md).
 */
export function weightsInPlace({ graph }: Model, from: number = LARGE_WEIGHTS): ReadonlySet<ValueName> {
  const names = new Set<ValueName>();
  let bytes = 0;
  for (const [name, { type, dims, storage }] of graph.initializers) {
    const length = byteLength(type, dims);
    // Half precision is widened once when loaded; in place it would be at every run.
    if (type !== 'float32' || dims.length !== 2 || length < LARGE_WEIGHT) continue;
    if (storage.kind !== 'external' && !(storage.kind === 'bytes' && storage.fileOffset !== undefined)) continue;
    names.add(name);
    bytes += length;
  }
  if (bytes < from) return new Set();
  for (const node of graph.nodes) {
    if (!readsInPlace(node)) for (const name of node.inputs) names.delete(name);
    for (const name of valuesCaptured(node)) names.delete(name);
  }
  for (const { name } of graph.outputs) names.delete(name);
  return names;
}
