/** The same graph in double precision, so that differences tell more digits. */
import type { Attribute, DenseTensor, Graph, Model, ValueInfo, Weight } from '../src/onnx/index.ts';
import { int, numbersToData, numbersWeight, sizeOf, weightNumbers, withSubgraphs } from '../src/onnx/index.ts';
import { numbersOf } from './numbers.ts';

/** Inputs that stay float32 whatever the type of the data. */
const FLOAT32_INPUTS: Readonly<Record<string, readonly number[]>> = { Resize: [1, 2], QuantizeLinear: [1] };

/** Types that become float64, with their numbers. */
const CAST: Readonly<Record<string, number>> = { float32: 1, float16: 10 };

/** The model with every float32 and float16 as float64. */
export function toFloat64(model: Model): Model {
  return { ...model, graph: castGraph(model.graph) };
}

/** A tensor of float32 or float16 as float64; others as they are. */
export function tensorToFloat64(tensor: DenseTensor): DenseTensor {
  if (CAST[tensor.type] === undefined) return tensor;
  const data = numbersToData('float64', numbersOf(tensor));
  return { type: 'float64', dims: tensor.dims, data };
}

function castGraph(graph: Graph): Graph {
  const kept = new Set(
    graph.nodes.flatMap(({ operator, inputs }) => (FLOAT32_INPUTS[operator] ?? []).map((at) => inputs[at] ?? '')),
  );
  const info = (each: ValueInfo): ValueInfo =>
    CAST[each.type] !== undefined && !kept.has(each.name) && !graph.otherTypes.has(each.name)
      ? { ...each, type: 'float64' }
      : each;
  return {
    ...graph,
    inputs: graph.inputs.map(info),
    outputs: graph.outputs.map(info),
    valueInfos: new Map(Array.from(graph.valueInfos, ([name, each]) => [name, info(each)])),
    initializers: new Map(
      Array.from(graph.initializers, ([name, weight]) => [name, kept.has(name) ? weight : castWeight(weight)]),
    ),
    nodes: graph.nodes.map((node) => {
      const cast = withSubgraphs(node, castGraph);
      const attributes = Object.entries(cast.attributes).map(([name, attribute]): [string, Attribute] => {
        if (attribute.kind === 'tensor') return [name, { ...attribute, value: castWeight(attribute.value) }];
        const typed = ['to', 'dtype', 'stash_type'].includes(name) && node.operator !== 'LayerNormalization';
        return [name, typed && attribute.kind === 'int' && [1, 10].includes(attribute.value) ? int(11) : attribute];
      });
      return { ...cast, attributes: Object.fromEntries(attributes) };
    }),
  };
}

function castWeight(weight: Weight): Weight {
  const values = CAST[weight.type] !== undefined ? weightNumbers(weight, sizeOf(weight.dims)) : undefined;
  return values === undefined ? weight : numbersWeight('float64', weight.dims, values);
}
