import { inferGraph, opsetOf } from '../onnx/index.ts';
import type { Facts, Model, Node, ValueName } from '../onnx/index.ts';

/** A graph with what finding things in it needs. */
export interface Tracer {
  readonly model: Model;
  readonly facts: ReadonlyMap<ValueName, Facts>;
  readonly producers: ReadonlyMap<ValueName, Node>;
  readonly consumers: ReadonlyMap<ValueName, readonly Node[]>;
  /** Values that depend on no input. */
  readonly constants: ReadonlySet<ValueName>;
}

export function traceModel(model: Model): Tracer {
  const { nodes, initializers } = model.graph;
  const consumers = new Map<ValueName, Node[]>();
  for (const node of nodes)
    for (const input of node.inputs) {
      const known = consumers.get(input);
      if (known === undefined) consumers.set(input, [node]);
      else known.push(node);
    }
  const constants = new Set<ValueName>(initializers.keys());
  for (const node of nodes)
    if (node.inputs.every((name) => name === '' || constants.has(name)))
      for (const output of node.outputs) constants.add(output);
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  return { model, facts: inferGraph(model.graph, opsetOf(model)), producers, consumers, constants };
}

export const isProduct = ({ operator }: Node): boolean => operator === 'MatMul' || operator === 'Einsum';

/** Operators that project: a product with a constant weight. */
const PROJECTIONS = new Set(['MatMul', 'Gemm', 'Conv', 'MatMulInteger', 'Einsum']);
/** Operators that only pass a tensor on in another layout or type. */
const LAYOUT = new Set(
  'Cast Identity Reshape Transpose Squeeze Unsqueeze Expand Flatten DynamicQuantizeLinear QuantizeLinear DequantizeLinear'.split(
    ' ',
  ),
);

/** The value that a chain of layout operators started from. */
export function throughLayout(tracer: Tracer, value: ValueName): ValueName {
  const node = tracer.producers.get(value);
  return node !== undefined && LAYOUT.has(node.operator) ? throughLayout(tracer, node.inputs[0]!) : value;
}

/**
 * What a value was projected from: going back through everything but products with constant weights, the values that
 * those products read, and inputs of the graph met on the way.
 */
export function projectedFrom(tracer: Tracer, value: ValueName): ReadonlySet<ValueName> {
  const sources = new Set<ValueName>();
  const seen = new Set<ValueName>();
  const visit = (name: ValueName): void => {
    if (name === '' || seen.has(name) || tracer.constants.has(name)) return;
    seen.add(name);
    const node = tracer.producers.get(name);
    if (node === undefined) {
      sources.add(name);
      return;
    }
    if (node.operator === 'Shape' || node.operator === 'Range') return;
    // The scale and zero point of what is quantised say nothing of where it came from.
    if (node.operator === 'DynamicQuantizeLinear' && name !== node.outputs[0]) return;
    if (PROJECTIONS.has(node.operator) && node.inputs.some((input) => tracer.constants.has(input))) {
      for (const input of node.inputs)
        if (input !== '' && !tracer.constants.has(input)) sources.add(throughLayout(tracer, input));
      return;
    }
    // The shape a Reshape or an Expand goes to says nothing about where its data came from.
    const inputs = LAYOUT.has(node.operator) || node.operator === 'Slice' ? node.inputs.slice(0, 1) : node.inputs;
    for (const input of inputs) visit(input);
  };
  visit(value);
  return sources;
}

/** A value and all that depends on it. */
export function downstream(tracer: Tracer, value: ValueName): ReadonlySet<ValueName> {
  const reached = new Set([value]);
  for (const each of reached)
    for (const node of tracer.consumers.get(each) ?? [])
      if (node.operator !== 'Shape') for (const output of node.outputs) reached.add(output);
  return reached;
}

/** Whether a value depends on a source otherwise than through a product of two computed values, as attention's are. */
export function madeFrom(tracer: Tracer, value: ValueName, source: ValueName): boolean {
  const reached = new Set([value]);
  for (const each of reached) {
    if (each === source) return true;
    const node = tracer.producers.get(each);
    if (node === undefined || (isProduct(node) && !node.inputs.some((name) => tracer.constants.has(name)))) continue;
    if (node.operator !== 'Shape') for (const input of node.inputs) reached.add(input);
  }
  return false;
}
