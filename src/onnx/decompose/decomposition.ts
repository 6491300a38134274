import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';

/**
 * An operator in terms of others: emits them and returns the values of the node's outputs, undefined for those that
 * nobody may ask for. No list at all means the node stays as it is: not enough is known of its shapes.
 */
export type Decomposition = (b: GraphBuilder, node: Node) => readonly (ValueName | undefined)[] | undefined;

/** An input that is given, or undefined. */
export const given = (node: Node, index: number): ValueName | undefined => node.inputs[index] || undefined;
/** Whether somebody may read the n-th output. */
export const asked = (node: Node, index: number): boolean => Boolean(node.outputs[index]);
