import { GraphBuilder, byteLength, isStatic } from '../onnx/index.ts';
import type { Dim, Model } from '../onnx/index.ts';

/** Memory one run's activations may take unless said otherwise, in bytes. */
export const DEFAULT_MEMORY_BUDGET = 1024 ** 3;

/**
 * Bytes of all values a program computes when its inputs have these dims: an upper bound of the memory of a run,
 * since onnxruntime reuses what it can. Values of unknown size are left out.
 */
export function activationBytes(model: Model, inputDims: Readonly<Record<string, readonly number[]>>): number {
  const inputs = model.graph.inputs.map((info) => ({
    ...info,
    dims: (inputDims[info.name] ?? info.dims) as readonly Dim[] | undefined,
  }));
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, inputs, valueInfos: new Map() } });
  let bytes = 0;
  for (const node of model.graph.nodes)
    for (const output of node.outputs) {
      const dims = b.dims(output);
      if (isStatic(dims)) bytes += byteLength(b.type(output), dims);
    }
  return bytes;
}
