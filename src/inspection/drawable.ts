import { layerPath, listLayers } from '../onnx/index.ts';
import type { Model } from '../onnx/index.ts';
import type { DimsReport } from './inspect.ts';

/** One node of the picture of a graph. */
export interface DrawableNode {
  /** Dotted path of the module it came from, its own name last. */
  readonly path: string;
  readonly operator: string;
  readonly dims: DimsReport;
  /** Where its inputs come from: indices of nodes; graph inputs are -1, -2, ... in their order. Weights are left out. */
  readonly from: readonly number[];
}

/** A graph reduced to what a picture of it shows. */
export interface DrawableGraph {
  readonly inputs: readonly string[];
  /** Outputs with the index of the node that gives them. */
  readonly outputs: readonly { readonly name: string; readonly from: number }[];
  readonly nodes: readonly DrawableNode[];
}

/** Nodes in the order of the graph, with edges and dims but without weights. Subgraphs stay closed. */
export function drawableGraph(model: Model): DrawableGraph {
  const { nodes, inputs, outputs } = model.graph;
  const dims = new Map(listLayers(model).map((layer) => [layer.output, layer.dims]));
  const producers = new Map<string, number>(inputs.map(({ name }, index) => [name, -1 - index]));
  nodes.forEach((node, index) => {
    for (const output of node.outputs) if (output !== '') producers.set(output, index);
  });
  return {
    inputs: inputs.map(({ name }) => name),
    outputs: outputs.flatMap(({ name }) => {
      const from = producers.get(name);
      return from === undefined ? [] : [{ name, from }];
    }),
    nodes: nodes.map((node) => {
      const own = node.outputs.find((name) => name !== '');
      const sources = node.inputs.flatMap((name) => producers.get(name) ?? []);
      return {
        path: layerPath(node),
        operator: node.operator,
        dims: (own === undefined ? undefined : dims.get(own))?.map((dim) => dim ?? null) ?? null,
        from: [...new Set(sources)],
      };
    }),
  };
}
