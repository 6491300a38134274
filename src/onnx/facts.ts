import type { Graph, Weight } from './model.ts';
import type { DataType, Dim } from './tensor.ts';
import { weightNumbers } from './weight.ts';

/** What is known of a value before anything runs. */
export interface Facts {
  readonly type: DataType;
  /** undefined when even the rank is unknown. */
  readonly dims: readonly Dim[] | undefined;
  /** The elements, for small integer tensors that describe shapes; names are symbolic dimensions. */
  readonly values?: readonly Dim[] | undefined;
}

/** Shape arithmetic is small; larger tensors are data, not shapes. */
export const MAX_SHAPE_VALUES = 64;

export function weightFacts(weight: Weight): Facts {
  const { type, dims } = weight;
  // Truth values too: conditions on shapes that were folded into weights go on deciding.
  const shapes = type === 'int64' || type === 'int32' || type === 'bool';
  return { type, dims, values: shapes ? weightNumbers(weight, MAX_SHAPE_VALUES) : undefined };
}

/** Facts of what a graph is given: its inputs and weights. */
export function givenFacts(graph: Graph): Map<string, Facts> {
  const facts = new Map<string, Facts>();
  for (const { name, type, dims } of graph.inputs) facts.set(name, nameUnknownDims({ type, dims }, name));
  for (const [name, weight] of graph.initializers) facts.set(name, weightFacts(weight));
  return facts;
}

/**
 * Gives every unknown dimension of a value a name of its own, so that later values can be seen to have the same length.
 * The names start with `?` and are never written to a file.
 */
export function nameUnknownDims(facts: Facts, value: string): Facts {
  if (facts.dims?.every((dim) => dim !== undefined) ?? true) return facts;
  return { ...facts, dims: facts.dims!.map((dim, axis) => dim ?? `?${value}.${axis}`) };
}
