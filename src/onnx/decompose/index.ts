/**
 * Composite operators in primitives. `normalizeModel` calls this for every such node, not only for those on a gradient's
 * path: attention must be visible as a Softmax to whoever looks for it, every rule set (gradients, relevance) meets the
 * same few operators, and the backward pass needs the parts anyway, so that computing them once beside a fused kernel
 * would cost more. What is decomposed computes the same; the conformance run holds it to that.
 */
import { GraphBuilder } from '../builder.ts';
import type { Attribute, Graph, Model, Node } from '../model.ts';
import { nodeLabel } from '../model.ts';
import { UnknownRankError } from '../node-builder.ts';
import { algebraFamily } from './algebra.ts';
import { attentionFamily } from './attention.ts';
import { contributedFamily } from './contributed.ts';
import type { Decomposition } from './decomposition.ts';
import { lossFamily } from './losses.ts';
import { recurrentFamily } from './recurrent.ts';
import { selectionFamily } from './selection.ts';
import { samplingFamily } from './sampling.ts';
import { regionFamily } from './regions.ts';
import { fourierFamily } from './fourier.ts';
import { expertFamily } from './experts.ts';
import { linearAttentionFamily } from './linear-attention.ts';
import { fusedFamily } from './fused.ts';
import { fusedAttentionFamily } from './fused-attention.ts';
import { quantizedFamily } from './quantized.ts';
import { normalizationFamily } from './normalization.ts';
import { relativePositionFamily } from './relative-position.ts';
import { mlFamily } from './ml.ts';
import { supportVectorFamily } from './support-vectors.ts';
import { spatialFamily } from './spatial.ts';

const DECOMPOSITIONS: ReadonlyMap<string, Decomposition> = new Map(
  Object.entries<Decomposition>({
    ...algebraFamily,
    ...attentionFamily,
    ...lossFamily,
    ...recurrentFamily,
    ...selectionFamily,
    ...samplingFamily,
    ...regionFamily,
    ...fourierFamily,
    ...fusedFamily,
    ...fusedAttentionFamily,
    ...linearAttentionFamily,
    ...contributedFamily,
    ...expertFamily,
    ...relativePositionFamily,
    ...quantizedFamily,
    ...normalizationFamily,
    ...mlFamily,
    ...supportVectorFamily,
    ...spatialFamily,
  }),
);

/** The composite operators; those of other domains by `domain::operator`. */
export const COMPOSITE_OPERATORS: readonly string[] = [...DECOMPOSITIONS.keys()];

const keyOf = ({ domain, operator }: Node) => (domain === '' ? operator : `${domain}::${operator}`);

/** Decompositions by operator; those of other domains by `domain::operator`. */
type Table = ReadonlyMap<string, Decomposition>;

/** The model with every composite operator that is known here in primitives, in subgraphs too; or others, by a table. */
export function decomposeModel(model: Model, table: Table = DECOMPOSITIONS): Model {
  if (!containsComposite(model.graph, table)) return model;
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, nodes: [] } });
  b.reserve(model.graph.nodes);
  for (const node of model.graph.nodes) decomposeNode(b, node, table);
  return b.build();
}

function containsComposite(graph: Graph, table: Table): boolean {
  return graph.nodes.some(
    (node) =>
      table.has(keyOf(node)) ||
      Object.values(node.attributes).some(
        (attribute) => attribute.kind === 'graph' && containsComposite(attribute.value, table),
      ),
  );
}

function decomposeNode(b: GraphBuilder, original: Node, table: Table): void {
  const node = decomposeSubgraphs(b, original, table);
  const decomposition = table.get(keyOf(node));
  const values = decomposition && b.within(nodeLabel(node), () => tryDecompose(decomposition, b, node));
  if (values === undefined) {
    b.push(node);
    return;
  }
  node.outputs.forEach((name, index) => {
    const value = values[index];
    if (name !== '' && value !== undefined) b.rename(value, name);
  });
}

/** Where a rank is unknown the node stays as it is; what was emitted until then is pruned away. */
function tryDecompose(decomposition: Decomposition, b: GraphBuilder, node: Node) {
  try {
    return decomposition(b, node);
  } catch (error) {
    if (error instanceof UnknownRankError) return undefined;
    throw error;
  }
}

function decomposeSubgraphs(b: GraphBuilder, node: Node, table: Table): Node {
  const entries = Object.entries(node.attributes);
  if (!entries.some(([, { kind }]) => kind === 'graph')) return node;
  const attributes = entries.map(([name, attribute]): [string, Attribute] => {
    if (attribute.kind !== 'graph' || !containsComposite(attribute.value, table)) return [name, attribute];
    const graph = attribute.value;
    const value = b.subgraph(
      graph.inputs,
      (inner) => {
        for (const each of graph.nodes) decomposeNode(inner, each, table);
        return graph.outputs.map((output) => output.name);
      },
      graph,
    );
    return [name, { kind: 'graph', value }];
  });
  return { ...node, attributes: Object.fromEntries(attributes) };
}
