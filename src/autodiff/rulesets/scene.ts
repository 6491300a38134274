/** What rule sets look up in the graph they work on. */
import { valuesRead } from '../../onnx/index.ts';
import type { GraphBuilder, Model, Node, ValueName } from '../../onnx/index.ts';
import type { RuleTable } from '../rule.ts';

/** The forward graph a backward pass is about to be appended to. */
export interface Scene {
  readonly b: GraphBuilder;
  /** The value the pass starts from. */
  readonly of: ValueName;
  /** The values it ends at. */
  readonly wrt: readonly ValueName[];
  /** The same value computed from the baseline: the value itself where it does not depend on `wrt`. */
  reference(value: ValueName): ValueName;
}

/** The table with some entries replaced; the others stay as they are. */
export function override(table: RuleTable, entries: Partial<RuleTable>): RuleTable {
  return { ...table, ...entries } as RuleTable;
}

/** Which values depend on the scene's inputs; all others count as constants: weights, masks, positions. */
export function movingValues({ b, wrt }: Scene): ReadonlySet<ValueName> {
  const moving = new Set<ValueName>(wrt);
  for (const node of b.nodes())
    if (node.inputs.some((input) => moving.has(input))) for (const output of node.outputs) moving.add(output);
  return moving;
}

/** How often each value is read by a node that leads on, or is what the pass starts from. */
export function consumersOf({ b, of }: Scene): ReadonlyMap<ValueName, readonly Node[]> {
  const consumers = new Map<ValueName, Node[]>();
  for (const node of b.nodes())
    for (const input of node.inputs) consumers.set(input, [...(consumers.get(input) ?? []), node]);
  // Being the answer counts as being read.
  const answer: Node = { name: '', operator: 'Identity', domain: '', inputs: [of], outputs: [], attributes: {} };
  consumers.set(of, [...(consumers.get(of) ?? []), answer]);
  return consumers;
}

/** How many nodes read each value of a model, in subgraphs too; being an output or one of `kept` counts as being read. */
export function readerCounts({ graph }: Model, kept: readonly ValueName[]): ReadonlyMap<ValueName, number> {
  const counts = new Map<ValueName, number>();
  const read = (name: ValueName) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const node of graph.nodes) new Set(valuesRead(node)).forEach(read);
  for (const name of [...graph.outputs.map((info) => info.name), ...kept]) read(name);
  return counts;
}

/** s(z) = z + epsilon sign(z) with sign(0) = +1: a denominator that is never 0. */
export function stabilize(b: GraphBuilder, z: ValueName, epsilon: number): ValueName {
  const e = b.scalar(epsilon, z);
  return b.add(z, b.where(b.less(z, b.scalar(0, z)), b.neg(e), e));
}

export const positivePart = (b: GraphBuilder, x: ValueName): ValueName => b.op('Max', [x, b.scalar(0, x)]);
export const negativePart = (b: GraphBuilder, x: ValueName): ValueName => b.op('Min', [x, b.scalar(0, x)]);

/** Operators that work on each element by itself, given that their other inputs are constants. */
const ELEMENTWISE = new Set([
  'Abs',
  'Add',
  'Cast',
  'Celu',
  'Clip',
  'Div',
  'Elu',
  'Erf',
  'Exp',
  'Gelu',
  'HardSigmoid',
  'HardSwish',
  'Identity',
  'LeakyRelu',
  'Log',
  'Mish',
  'Mul',
  'Neg',
  'Pow',
  'Reciprocal',
  'Relu',
  'Selu',
  'Sigmoid',
  'Softplus',
  'Softsign',
  'Sqrt',
  'Sub',
  'Tanh',
]);

/**
 * Whether `gate` is a function of `x` element by element, as in x * sigmoid(x): the product is then one activation of x,
 * however the exporter took it apart.
 */
export function isGateOf(b: GraphBuilder, gate: ValueName, x: ValueName, moving: ReadonlySet<ValueName>): boolean {
  return dependsElementwise(b, gate, beforeScaling(b, x, moving), moving);
}

/** The value that `x` is a constant multiple of. */
function beforeScaling(b: GraphBuilder, x: ValueName, moving: ReadonlySet<ValueName>): ValueName {
  const node = b.producer(x);
  if (node === undefined || (node.operator !== 'Mul' && node.operator !== 'Div')) return x;
  const inputs = node.inputs.filter((input) => moving.has(input));
  return inputs.length === 1 && (node.operator === 'Mul' || inputs[0] === node.inputs[0])
    ? beforeScaling(b, inputs[0]!, moving)
    : x;
}

function dependsElementwise(b: GraphBuilder, value: ValueName, x: ValueName, moving: ReadonlySet<ValueName>): boolean {
  if (value === x) return true;
  const node = b.producer(value);
  if (node === undefined || !ELEMENTWISE.has(node.operator)) return false;
  const inputs = node.inputs.filter((input) => moving.has(input));
  return inputs.length > 0 && inputs.every((input) => dependsElementwise(b, input, x, moving));
}
