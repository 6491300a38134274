import type { EmittedOperator, GraphBuilder, Node, ValueName } from '../onnx/index.ts';

/**
 * Builds the gradient of one input. It is only called when that gradient is wanted, so a gradient nobody
 * needs is never built.
 */
export type Pullback = () => ValueName;

/** What a few rules need beyond the node: those of subgraphs, and those that treat two nodes as one. */
export interface RuleContext {
  /** Whether anybody wants the gradient of this value. */
  wanted(value: ValueName): boolean;
  /** Whether the gradient of this value is asked for itself, not only to be passed on. */
  asked(value: ValueName): boolean;
  /** Differentiates within a subgraph, by the same table: from gradients of values to those of others. */
  pull(
    b: GraphBuilder,
    seeds: ReadonlyMap<ValueName, ValueName>,
    wrt: readonly ValueName[],
  ): ReadonlyMap<ValueName, ValueName>;
}

/**
 * The gradient rule of an operator: from a node and the gradients of its outputs (undefined where an output has
 * none) to one pullback per input; undefined for an input the operator is not differentiable in. Pullbacks of the
 * values that a node's subgraphs capture follow those of its inputs.
 * A rule builds nodes, never values, and emits only operators that have rules.
 */
export type Rule = (
  b: GraphBuilder,
  node: Node,
  gradients: readonly (ValueName | undefined)[],
  context: RuleContext,
) => readonly (Pullback | undefined)[];

/** A rule of an operator without subgraphs, which is all that other rule sets build on. */
export type NodeRule = (
  b: GraphBuilder,
  node: Node,
  gradients: readonly (ValueName | undefined)[],
) => readonly (Pullback | undefined)[];

/** An operator whose outputs are piecewise constant in its inputs, or not numbers at all: its gradient is zero. */
export const PIECEWISE_CONSTANT = 'piecewise constant';
export type RuleEntry = Rule | typeof PIECEWISE_CONSTANT;

/** Rules by operator; those of other domains by `domain::operator`. An emitted operator without a rule does not compile. */
export type RuleTable = { readonly [P in EmittedOperator]: RuleEntry } & {
  readonly [operator: string]: RuleEntry | undefined;
};

/** A rule for an operator with one output. */
export function rule(build: (b: GraphBuilder, node: Node, dY: ValueName) => readonly (Pullback | undefined)[]): Rule {
  return (b, node, [dY]) => (dY === undefined ? node.inputs.map(() => undefined) : build(b, node, dY));
}

/** A rule for f(x) with one input and one output: `derivative` builds dX from x, y and dY. */
export function unary(
  derivative: (b: GraphBuilder, x: ValueName, y: ValueName, dY: ValueName, node: Node) => ValueName,
): Rule {
  return rule((b, node, dY) => [() => derivative(b, node.inputs[0]!, node.outputs[0]!, dY, node)]);
}

/** Rules look up by this key. */
export function ruleKey(node: Pick<Node, 'domain' | 'operator'>): string {
  return node.domain === '' ? node.operator : `${node.domain}::${node.operator}`;
}
