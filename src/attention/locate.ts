import { inferGraph, intAttribute, layerPath, opsetOf } from '../onnx/index.ts';
import type { Model, Node, ValueName } from '../onnx/index.ts';

export interface AttentionBlock {
  /** Position among all blocks, in the order of the graph. */
  readonly index: number;
  /** Number of the layer, from its name where that tells, else counted. */
  readonly layer: number;
  readonly kind: 'encoder' | 'decoder' | 'cross';
  readonly heads: number | null;
  readonly kvHeads: number | null;
  readonly path: string;
  /** The value that holds softmax(QK'), [batch, heads, queries, keys]. */
  readonly probabilities: ValueName;
}

/** Operators between the product of queries and keys and the softmax: scales, masks, biases, casts. */
const BEFORE_SOFTMAX = new Set([
  'Div',
  'Mul',
  'Add',
  'Sub',
  'Where',
  'Cast',
  'Clip',
  'Identity',
  'Tanh',
  'Reshape',
  'Min',
  'Max',
]);
/** Operators between the softmax and the product with the values. */
const AFTER_SOFTMAX = new Set(['Cast', 'Identity', 'Dropout', 'Where', 'Reshape', 'Transpose']);

/**
 * Finds attention blocks: a softmax over the last axis between two matrix products of values that depend on the input.
 * Fused attention operators are found once they are decomposed.
 */
export function locateAttention(model: Model): AttentionBlock[] {
  const { nodes } = model.graph;
  const facts = inferGraph(model.graph, opsetOf(model));
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const consumers = new Map<ValueName, Node[]>();
  for (const node of nodes)
    for (const input of node.inputs) consumers.set(input, [...(consumers.get(input) ?? []), node]);
  const constants = new Set<ValueName>(model.graph.initializers.keys());
  for (const node of nodes)
    if (node.inputs.every((name) => name === '' || constants.has(name)))
      for (const output of node.outputs) constants.add(output);

  const blocks: AttentionBlock[] = [];
  for (const node of nodes) {
    if (node.operator !== 'Softmax' || node.domain !== '') continue;
    const probabilities = node.outputs[0]!;
    const dims = facts.get(probabilities)?.dims;
    const axis = intAttribute(node, 'axis', -1);
    if (axis !== -1 && axis !== (dims?.length ?? 0) - 1) continue;
    const scores = scoreProduct(node.inputs[0]!, producers, constants);
    if (scores === undefined || !reachesProduct(probabilities, consumers, constants)) continue;
    const path = layerPath(node).replace(/\.Softmax(_\d+)?$/, '') || layerPath(node);
    const heads = dims?.length === 4 ? dims[1] : dims?.length === 3 ? dims[0] : undefined;
    const count = typeof heads === 'number' ? heads : null;
    const number = path.match(/(?:layers?|blocks?|h|encoder|decoder)\.(\d+)(?:\.|$)/)?.[1];
    blocks.push({
      index: blocks.length,
      layer: number === undefined ? blocks.length : Number(number),
      kind: kindOf(path, node, producers),
      heads: count,
      kvHeads: count,
      path,
      probabilities,
    });
  }
  return blocks;
}

function scoreProduct(
  value: ValueName,
  producers: ReadonlyMap<ValueName, Node>,
  constants: ReadonlySet<ValueName>,
  depth = 0,
): Node | undefined {
  const node = producers.get(value);
  if (node === undefined || depth > 8) return undefined;
  if (node.operator === 'MatMul' || node.operator === 'Einsum')
    return node.inputs.some((name) => constants.has(name)) ? undefined : node;
  if (!BEFORE_SOFTMAX.has(node.operator)) return undefined;
  for (const input of node.inputs) {
    const found = scoreProduct(input, producers, constants, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function reachesProduct(
  value: ValueName,
  consumers: ReadonlyMap<ValueName, Node[]>,
  constants: ReadonlySet<ValueName>,
  depth = 0,
): boolean {
  if (depth > 4) return false;
  return (consumers.get(value) ?? []).some((node) => {
    if (node.operator === 'MatMul' || node.operator === 'Einsum')
      return !node.inputs.some((name) => constants.has(name));
    return (
      AFTER_SOFTMAX.has(node.operator) &&
      node.outputs.some((output) => reachesProduct(output, consumers, constants, depth + 1))
    );
  });
}

function kindOf(path: string, softmax: Node, producers: ReadonlyMap<ValueName, Node>): AttentionBlock['kind'] {
  if (/cross|encoder_attn|EncDecAttention/i.test(path)) return 'cross';
  if (/decoder|(^|\.)h\.\d+|SelfAttention.*decoder/i.test(path)) return 'decoder';
  return isCausal(softmax.inputs[0]!, producers) ? 'decoder' : 'encoder';
}

/** A mask that is built with Trilu, or from comparing positions, hides what comes later. */
function isCausal(value: ValueName, producers: ReadonlyMap<ValueName, Node>, depth = 0): boolean {
  const node = producers.get(value);
  if (node === undefined || depth > 12) return false;
  if (node.operator === 'Trilu') return true;
  if (node.operator === 'MatMul') return false;
  return node.inputs.some((input) => isCausal(input, producers, depth + 1));
}
