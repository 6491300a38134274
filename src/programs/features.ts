import { UserError, inferGraph, isFloat, opsetOf, valuesRead } from '../onnx/index.ts';
import type { Model, Node, ValueName } from '../onnx/index.ts';

/**
 * What of a model's input can be scored. Floating-point inputs are scored element by element; token ids through the
 * embedding they select, whose scores are then reduced over the embedding's axis, so that scores are shaped as the input.
 */
export interface Feature {
  readonly input: ValueName;
  readonly kind: 'elements' | 'tokens' | 'layer';
  /** The value that is scored: the input itself, or the embedding [..., hidden] of its ids. */
  readonly value: ValueName;
}

/** Operators that pass ids on unchanged. */
const PASS_ON = new Set(['Cast', 'Identity', 'Reshape', 'Unsqueeze', 'Squeeze', 'Clip']);
/** Operators between a table of quantised rows and the float embedding. */
const DEQUANTIZE = new Set(['DequantizeLinear', 'Cast']);

/**
 * The inputs a model's answer can be attributed to: all floating-point inputs and, of the integer ones, the ids with the
 * largest vocabulary. Throws a UserError when there is none.
 */
export function findFeatures(model: Model): Feature[] {
  const features: Feature[] = [];
  const embeddings: { feature: Feature; vocabulary: number }[] = [];
  for (const { name, type } of model.graph.inputs) {
    if (isFloat(type)) features.push({ input: name, kind: 'elements', value: name });
    else {
      const found = findEmbedding(model, name);
      if (found !== undefined)
        embeddings.push({ feature: { input: name, kind: 'tokens', value: found.value }, vocabulary: found.vocabulary });
    }
  }
  const largest = embeddings.sort((left, right) => right.vocabulary - left.vocabulary)[0];
  if (largest !== undefined) features.push(largest.feature);
  if (features.length === 0)
    throw new UserError(
      'the model has no floating-point input and no embedding of token ids: there is nothing to attribute to',
    );
  return features;
}

/** Follows an integer input to the first table of floats its values pick rows from. */
function findEmbedding(model: Model, input: ValueName): { value: ValueName; vocabulary: number } | undefined {
  const facts = inferGraph(model.graph, opsetOf(model));
  const constants = constantValues(model);
  const ids = new Set([input]);
  const used = valuesUsed(model);
  for (const node of model.graph.nodes) {
    if (PASS_ON.has(node.operator) && ids.has(node.inputs[0]!)) ids.add(node.outputs[0]!);
    if (node.operator !== 'Gather' || !ids.has(node.inputs[1]!) || !constants.has(node.inputs[0]!)) continue;
    const vocabulary = facts.get(node.inputs[0]!)?.dims?.[0];
    if (!used.has(node.outputs[0]!)) continue;
    const value = floatValue(model, node, (name) => facts.get(name)?.type ?? 'float32');
    if (value !== undefined) return { value, vocabulary: typeof vocabulary === 'number' ? vocabulary : 0 };
  }
  return undefined;
}

/** Values that something reads for more than their shape: optimisers leave such a table beside the one they fused. */
function valuesUsed({ graph }: Model): Set<ValueName> {
  const used = new Set<ValueName>(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes)
    if (node.operator !== 'Shape' && node.operator !== 'Size') for (const name of valuesRead(node)) used.add(name);
  return used;
}

/** Values that depend on no input. */
function constantValues(model: Model): Set<ValueName> {
  const constants = new Set<ValueName>(model.graph.initializers.keys());
  for (const node of model.graph.nodes)
    if (node.inputs.every((name) => name === '' || constants.has(name)))
      for (const output of node.outputs) constants.add(output);
  return constants;
}

/** The gathered rows as floats: the gather's own output, or what dequantising it gives. */
function floatValue(
  model: Model,
  gather: Node,
  type: (name: ValueName) => Parameters<typeof isFloat>[0],
): ValueName | undefined {
  let value = gather.outputs[0]!;
  for (const node of model.graph.nodes) {
    if (isFloat(type(value))) return value;
    if (DEQUANTIZE.has(node.operator) && node.inputs[0] === value) value = node.outputs[0]!;
  }
  return isFloat(type(value)) ? value : undefined;
}
