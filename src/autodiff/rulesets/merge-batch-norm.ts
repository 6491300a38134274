import { GraphBuilder, floatAttribute, pruneModel } from '../../onnx/index.ts';
import type { Model, Node, ValueName } from '../../onnx/index.ts';
import { readerCounts } from './scene.ts';

/** Operators whose weight and bias can take a batch normalisation in; the weight's axis of output channels. */
const CHANNEL_AXIS: Readonly<Record<string, number>> = { Conv: 0, Gemm: 1 };

/**
 * Batch normalisation after a convolution or a Gemm merged into its weight and bias, which changes no output: relevance
 * rules see one affine operator instead of two. The new weights are computed in the graph, so none is read here.
 * `kept` names values that must stay to be seen.
 */
export function mergeBatchNorm(model: Model, kept: readonly ValueName[]): Model {
  const { graph } = model;
  const readers = readerCounts(model, kept);
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const merged = new Map<Node, Node>();
  for (const node of graph.nodes) {
    if (node.operator !== 'BatchNormalization') continue;
    const before = producers.get(node.inputs[0]!);
    if (before !== undefined && before.operator in CHANNEL_AXIS && readers.get(before.outputs[0]!) === 1)
      merged.set(node, before);
  }
  if (merged.size === 0) return model;
  const b = new GraphBuilder({ ...model, graph: { ...graph, nodes: [] } });
  b.reserve(graph.nodes);
  for (const node of graph.nodes) {
    const before = merged.get(node);
    b.push(before === undefined ? node : mergedNode(b, before, node));
  }
  return pruneModel(b.build());
}

/** s (W x + b - m) + c with s = scale / sqrt(var + epsilon), c the norm's bias. */
function mergedNode(b: GraphBuilder, before: Node, norm: Node): Node {
  const [, scale, shift, average, variance] = norm.inputs as [ValueName, ValueName, ValueName, ValueName, ValueName];
  const [x, w, bias] = before.inputs as [ValueName, ValueName, ValueName?];
  const s = b.div(scale, b.sqrt(b.add(variance, b.scalar(floatAttribute(norm, 'epsilon', 1e-5), variance))));
  const transposed = before.operator === 'Gemm' && before.attributes['transB']?.value === 1;
  const axis = transposed ? 0 : CHANNEL_AXIS[before.operator]!;
  const axes = Array.from({ length: b.rank(w) - axis - 1 }, (_, index) => index + 1);
  const weight = b.mul(w, b.unsqueeze(s, axes));
  const beta = before.operator === 'Gemm' ? floatAttribute(before, 'beta', 1) : 1;
  const own = bias ? (beta === 1 ? bias : b.mul(bias, b.scalar(beta, bias))) : undefined;
  const centred = own === undefined ? b.neg(average) : b.sub(own, average);
  const { beta: _, ...attributes } = before.attributes;
  return {
    ...before,
    attributes,
    inputs: [x, weight, b.add(b.mul(s, centred), shift)],
    outputs: norm.outputs.slice(0, 1),
  };
}
