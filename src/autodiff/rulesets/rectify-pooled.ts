import type { Model, Node, ValueName } from '../../onnx/index.ts';
import { readerCounts } from './scene.ts';

/**
 * Rectifiers before a maximum over windows moved behind it, which changes no output and no gradient: the larger of two
 * rectified values is the rectified larger one. What the backward pass has to keep is then as small as the pooled value.
 * `kept` names values that must stay to be seen.
 */
export function rectifyPooled(model: Model, kept: readonly ValueName[]): Model {
  const { graph } = model;
  const readers = readerCounts(model, kept);
  const rectifiers = new Map(
    graph.nodes
      .filter(({ operator, domain }) => operator === 'Relu' && domain === '')
      .map((node) => [node.outputs[0]!, node]),
  );
  const moved = new Map<Node, readonly Node[]>();
  for (const pool of graph.nodes) {
    const before = rectifiers.get(pool.inputs[0]!);
    if (pool.operator !== 'MaxPool' || pool.outputs.length > 1 || before === undefined) continue;
    if (readers.get(before.outputs[0]!) !== 1) continue;
    const between = `${pool.outputs[0]!}/onnxray/pooled`;
    moved.set(before, []);
    moved.set(pool, [
      { ...pool, inputs: before.inputs, outputs: [between] },
      { ...before, inputs: [between], outputs: pool.outputs },
    ]);
  }
  if (moved.size === 0) return model;
  return { ...model, graph: { ...graph, nodes: graph.nodes.flatMap((node) => moved.get(node) ?? [node]) } };
}
