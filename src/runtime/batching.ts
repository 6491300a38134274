import { GraphBuilder, byteLength, isStatic, valuesRead } from '../onnx/index.ts';
import type { Dim, Model, Node, ValueName } from '../onnx/index.ts';

/** Memory one run's activations may take unless said otherwise, in bytes. */
export const DEFAULT_MEMORY_BUDGET = 1024 ** 3;

/** How many rows run together where each takes so many bytes: what fits, at least one, and no more than `most`. */
export function rowsTogether(bytesOfRow: number, budget: number, most: number): number {
  return Math.max(1, Math.min(most, Math.floor(budget / Math.max(1, bytesOfRow))));
}

/** Operators whose output is their first input's memory under another shape. */
const VIEWS: ReadonlySet<string> = new Set(['Flatten', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze']);

/**
 * Bytes that the values of a program take at once, at most, when its inputs have these dims and its nodes run in the
 * order they stand in: a value lives from the node that computes it to the last that reads it. What onnxruntime's
 * operators need for themselves and what its arena loses between chunks is not in it. Values of unknown size are left out.
 */
export function activationBytes(model: Model, inputDims: Readonly<Record<string, readonly number[]>>): number {
  const { graph } = model;
  const inputs = graph.inputs.map((info) => ({
    ...info,
    dims: (inputDims[info.name] ?? info.dims) as readonly Dim[] | undefined,
  }));
  const b = new GraphBuilder({ ...model, graph: { ...graph, inputs, valueInfos: new Map() } });
  const memory = ownMemory(graph.nodes);
  const lastReader = new Map<ValueName, number>();
  graph.nodes.forEach((node, index) => {
    for (const name of valuesRead(node)) lastReader.set(memory(name), index);
  });
  for (const { name } of graph.outputs) lastReader.set(memory(name), graph.nodes.length);

  const ending = new Map<number, number>();
  let [alive, most] = [0, 0];
  graph.nodes.forEach((node, index) => {
    for (const output of node.outputs) {
      const dims = b.dims(output);
      if (memory(output) !== output || !isStatic(dims)) continue;
      const bytes = byteLength(b.type(output), dims);
      const last = lastReader.get(output) ?? index;
      ending.set(last, (ending.get(last) ?? 0) + bytes);
      alive += bytes;
    }
    most = Math.max(most, alive);
    alive -= ending.get(index) ?? 0;
  });
  return most;
}

/** The value in whose memory a value lies: itself, unless it is a view of another. */
function ownMemory(nodes: readonly Node[]): (name: ValueName) => ValueName {
  const owner = new Map<ValueName, ValueName>();
  for (const { operator, inputs, outputs } of nodes)
    if (VIEWS.has(operator)) owner.set(outputs[0]!, owner.get(inputs[0]!) ?? inputs[0]!);
  return (name) => owner.get(name) ?? name;
}
