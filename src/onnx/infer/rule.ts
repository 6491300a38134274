import type { Facts } from '../facts.ts';
import type { Graph, Node, ValueName } from '../model.ts';
import type { DataType, Dim } from '../tensor.ts';

/** Facts of a node's inputs by position, with what inference rules ask most. */
export interface InferenceInput {
  readonly node: Node;
  readonly opset: number;
  facts(index: number): Facts | undefined;
  type(index: number): DataType;
  dims(index: number): readonly Dim[] | undefined;
  /** The elements of a small constant integer input. */
  values(index: number): readonly Dim[] | undefined;
  /** The elements of the constant float input at position 2: Resize's scales. */
  readonly scales: readonly number[] | undefined;
  /** Facts of a value around the node, which a subgraph may read. */
  outerFacts(value: ValueName): Facts | undefined;
  /** Facts of all values of a subgraph of the node. */
  inside(graph: Graph, inputs?: ReadonlyMap<ValueName, Facts>): ReadonlyMap<ValueName, Facts>;
  /** The elements when every one of them is a number. */
  numbers(index: number): readonly number[] | undefined;
}

/** Facts of a node's outputs, one per output; undefined where nothing is known. */
export type InferenceRule = (input: InferenceInput) => readonly (Facts | undefined)[];

export function numeric(values: readonly Dim[] | undefined): readonly number[] | undefined {
  return values?.every((value): value is number => typeof value === 'number') ? (values as number[]) : undefined;
}
