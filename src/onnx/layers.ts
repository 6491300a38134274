import type { Model, Node, ValueName } from './model.ts';
import type { Dim } from './tensor.ts';
import { inferGraph } from './infer/index.ts';
import { opsetOf } from './model.ts';

/** A place in a model that people can name. */
export interface Layer {
  /** A readable, unique path such as `encoder.layer.3.attention.output.dense.MatMul`. */
  readonly path: string;
  readonly node: string;
  /** The value the node produces. */
  readonly output: ValueName;
  readonly dims: readonly Dim[] | undefined;
}

/** All nodes' first outputs under readable paths, in the order of the graph. */
export function listLayers(model: Model): Layer[] {
  const facts = inferGraph(model.graph, opsetOf(model));
  const taken = new Map<string, number>();
  return model.graph.nodes.flatMap((node) => {
    const output = node.outputs.find((name) => name !== '');
    if (output === undefined) return [];
    const base = layerPath(node);
    const count = taken.get(base) ?? 0;
    taken.set(base, count + 1);
    const dims = facts
      .get(output)
      ?.dims?.map((dim) => (typeof dim === 'string' && dim.startsWith('?') ? undefined : dim));
    return [{ path: count === 0 ? base : `${base}#${count}`, node: node.name, output, dims }];
  });
}

/**
 * Exporters name nodes by the module they came from: `/encoder/layer.0/attention/self/MatMul_1`. That is the path, with
 * dots. Nodes without a name are called by their output.
 */
export function layerPath(node: Node): string {
  const name = node.name === '' ? (node.outputs[0] ?? node.operator) : node.name;
  return name.replace(/^\/+/, '').replaceAll('/', '.');
}
