/** Of which values of tokens the answer depends on all positions, and of which on one alone. */
import type { Facts, Model, Node, ValueName } from '../../../onnx/index.ts';

export type Needed = 'all' | 'one';

/** Operators that reduce over positions, so that all of them matter. */
const POOLS = new Set(
  (
    'ReduceMean ReduceSum ReduceMax ReduceMin ReduceL2 GlobalAveragePool GlobalMaxPool AveragePool ' +
    'MaxPool Flatten Einsum'
  ).split(' '),
);

/**
 * Walks back from the output. Picking one token (CLS) needs one position of what it is picked from, and so does all
 * that works on each token by itself; a product of two computed values (attention) needs all keys and values, and of
 * queries as many as of its own result.
 */
export function neededPositions(
  { graph }: Model,
  facts: ReadonlyMap<ValueName, Facts>,
  output: ValueName,
): ReadonlyMap<ValueName, Needed> {
  const rank = (value: ValueName) => facts.get(value)?.dims?.length ?? 0;
  const needed = new Map<ValueName, Needed>([[output, rank(output) > 2 ? 'all' : 'one']]);
  const need = (value: ValueName | undefined, what: Needed) => {
    if (value !== undefined && needed.get(value) !== 'all') needed.set(value, what);
  };
  for (const node of graph.nodes.toReversed()) {
    const wanted = node.outputs.map((name) => needed.get(name)).filter((each) => each !== undefined);
    if (wanted.length === 0) continue;
    const own: Needed = wanted.includes('all') ? 'all' : 'one';
    node.inputs.forEach((input, index) => need(input, ofInput(node, index, own)));
  }
  return needed;

  function ofInput(node: Node, index: number, own: Needed): Needed {
    const input = node.inputs[index]!;
    if (picksOne(node, facts)) return 'one';
    if (POOLS.has(node.operator)) return 'all';
    if (node.operator === 'MatMul' && !graph.initializers.has(node.inputs[1]!)) return index === 0 ? own : 'all';
    // Rows of tokens flattened into one vector.
    if (node.operator === 'Reshape' && rank(input) >= 3 && rank(node.outputs[0]!) <= 2) return 'all';
    return own;
  }
}

/** Whether a node keeps one position of the axis of tokens. */
function picksOne(node: Node, facts: ReadonlyMap<ValueName, Facts>): boolean {
  const from = facts.get(node.inputs[0]!)?.dims;
  const to = facts.get(node.outputs[0]!)?.dims;
  if (from?.length !== 3 || to === undefined) return false;
  if (node.operator === 'Gather') return to.length === 2 || to[1] === 1;
  return node.operator === 'Slice' && to.length === 3 && to[1] === 1 && from[1] !== 1;
}
