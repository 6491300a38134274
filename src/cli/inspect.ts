import { locateAttention } from '../attention/index.ts';
import type { AttentionBlock } from '../attention/index.ts';
import { gradientCoverage } from '../autodiff/index.ts';
import type { Coverage } from '../autodiff/index.ts';
import { listLayers, opsetOf, sizeOf } from '../onnx/index.ts';
import type { Graph, Layer, Model, ValueInfo, Weight } from '../onnx/index.ts';

/** What `onnxray inspect` says of a model. */
export interface Inspection {
  readonly opset: number;
  readonly irVersion: number;
  readonly producer: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Elements of all weights that are floats or quantised numbers. */
  readonly parameters: number;
  /** Size of the file. */
  readonly bytes: number;
  readonly operators: Readonly<Record<string, number>>;
  readonly attention: readonly AttentionBlock[];
  readonly differentiable: Coverage;
  readonly layers: readonly Layer[];
}

/** Describes a model: `original` as in the file, `canonical` as `normalizeModel` gives it. */
export function inspectModel(original: Model, canonical: Model, bytes: number): Inspection {
  return {
    opset: opsetOf(original),
    irVersion: original.irVersion,
    producer: original.producer,
    inputs: original.graph.inputs,
    outputs: original.graph.outputs,
    parameters: countParameters(original.graph),
    bytes,
    operators: countOperators(original.graph, {}),
    attention: locateAttention(canonical),
    differentiable: gradientCoverage(canonical),
    layers: listLayers(canonical),
  };
}

function countOperators(graph: Graph, counts: Record<string, number>): Record<string, number> {
  for (const node of graph.nodes) {
    const key = node.domain === '' ? node.operator : `${node.domain}::${node.operator}`;
    counts[key] = (counts[key] ?? 0) + 1;
    for (const attribute of Object.values(node.attributes))
      if (attribute.kind === 'graph') countOperators(attribute.value, counts);
  }
  return counts;
}

/** Integers of 32 and 64 bits and flags are shapes and indices, not parameters. */
const NOT_PARAMETERS = new Set(['int64', 'int32', 'uint64', 'uint32', 'bool', 'string']);

function countParameters(graph: Graph): number {
  const size = ({ type, dims }: Weight) => (NOT_PARAMETERS.has(type) ? 0 : sizeOf(dims));
  let total = 0;
  for (const weight of graph.initializers.values()) total += size(weight);
  for (const node of graph.nodes)
    for (const attribute of Object.values(node.attributes)) {
      if (attribute.kind === 'tensor') total += size(attribute.value);
      if (attribute.kind === 'graph') total += countParameters(attribute.value);
    }
  return total;
}
