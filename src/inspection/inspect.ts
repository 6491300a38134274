import { locateAttention } from '../attention/index.ts';
import type { AttentionBlock } from '../attention/index.ts';
import { gradientCoverage } from '../autodiff/index.ts';
import type { Coverage } from '../autodiff/index.ts';
import { listLayers, opsetOf, sizeOf } from '../onnx/index.ts';
import type { DataType, Dim, Graph, Layer, Model, ValueInfo, Weight } from '../onnx/index.ts';

/** A dimension that depends on the input has a name or is null; dims are null when the rank is unknown. */
export type DimsReport = readonly (number | string | null)[] | null;

/** An input or output. */
export interface ValueReport {
  readonly name: string;
  readonly type: DataType;
  readonly dims: DimsReport;
}

/** What the command line's contract says of a block; the library's own has more. */
type ListedBlock = Pick<AttentionBlock, 'index' | 'layer' | 'kind' | 'heads' | 'kvHeads' | 'path' | 'probabilities'>;

/** What `onnxray inspect` says of a model. */
export interface Inspection {
  readonly opset: number;
  readonly irVersion: number;
  readonly producer: string;
  readonly inputs: readonly ValueReport[];
  readonly outputs: readonly ValueReport[];
  /** Elements of all weights that are floats or quantised numbers. */
  readonly parameters: number;
  /** Size of the file. */
  readonly bytes: number;
  readonly operators: Readonly<Record<string, number>>;
  readonly attention: readonly ListedBlock[];
  readonly differentiable: Coverage;
  readonly layers: readonly (Omit<Layer, 'dims'> & { readonly dims: DimsReport })[];
}

/** Describes a model: `original` as in the file, `canonical` as `normalizeModel` gives it. */
export function inspectModel(original: Model, canonical: Model, bytes: number): Inspection {
  return {
    opset: opsetOf(original),
    irVersion: original.irVersion,
    producer: original.producer,
    inputs: original.graph.inputs.map(withDims),
    outputs: original.graph.outputs.map(withDims),
    parameters: countParameters(original.graph),
    bytes,
    operators: countOperators(original.graph, {}),
    attention: locateAttention(canonical).map(({ index, layer, kind, heads, kvHeads, path, probabilities }) => ({
      index,
      layer,
      kind,
      heads,
      kvHeads,
      path,
      probabilities,
    })),
    differentiable: gradientCoverage(canonical),
    layers: listLayers(canonical).map(({ path, node, output, dims }) => ({
      path,
      node,
      output,
      dims: dimsReport(dims),
    })),
  };
}

/** JSON leaves undefined fields out, but a reader counts on `dims`: null says that even the rank is unknown. */
function dimsReport(dims: readonly Dim[] | undefined): DimsReport {
  return dims?.map((dim) => dim ?? null) ?? null;
}

function withDims({ name, type, dims }: ValueInfo): ValueReport {
  return { name, type, dims: dimsReport(dims) };
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
