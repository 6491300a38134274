/** Parts of the model once more, under new names. */
import type { GraphBuilder, Model, Node, ValueName } from '../onnx/index.ts';

/** Appends copies of the nodes a value depends on, under new names, with some values replaced. */
export function copyUpstream(
  b: GraphBuilder,
  { graph }: Model,
  value: ValueName,
  replaced: ReadonlyMap<ValueName, ValueName>,
): ValueName {
  const needed = new Set([value]);
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed())
    if (node.outputs.some((name) => needed.has(name) && !replaced.has(name))) {
      nodes.unshift(node);
      for (const name of node.inputs) needed.add(name);
    }
  return copyNodes(b, nodes, replaced).get(value) ?? value;
}

/** Appends copies of nodes under new names; gives the new name of every value that has one. */
export function copyNodes(
  b: GraphBuilder,
  nodes: readonly Node[],
  replaced: ReadonlyMap<ValueName, ValueName>,
): ReadonlyMap<ValueName, ValueName> {
  const renamed = new Map(replaced);
  for (const node of nodes) {
    const inputs = node.inputs.map((name) => renamed.get(name) ?? name);
    const outputs = node.outputs.map((name) => {
      if (name !== '' && !replaced.has(name)) renamed.set(name, b.unusedName(`onnxray/copy/${name}`));
      return replaced.has(name) ? b.unusedName(`onnxray/unused/${name}`) : (renamed.get(name) ?? '');
    });
    b.push({ ...node, name: b.unusedName(`onnxray/copy/${node.name}`), inputs, outputs });
  }
  return renamed;
}
