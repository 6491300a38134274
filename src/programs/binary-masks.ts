/**
 * Masks of 0 and 1 over tokens: each token is there as in the input or as in the baseline, so whatever the model does to
 * every token by itself (norms, the first products with weights) is computed for these two cases once, and each row
 * picks from the results.
 */
import { inferGraph, intAttribute, opsetOf, positiveAxis, weightNumbers } from '../onnx/index.ts';
import type { GraphBuilder, Model, Node, ValueName, Weight } from '../onnx/index.ts';
import { copyNodes } from './copies.ts';

/** The two cases of a feature, and which one each row has where. */
export interface TwoCases {
  /** The value whose rows are masked: [1, tokens, hidden] in the model. */
  readonly value: ValueName;
  /** Input and baseline: [2, tokens, hidden]. */
  readonly cases: ValueName;
  /** Index into the 2 x tokens cases: int64 [rows, tokens]. */
  readonly places: ValueName;
}

const POINTWISE = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Pow',
  'Sqrt',
  'Erf',
  'Tanh',
  'Sigmoid',
  'Relu',
  'Gelu',
  'Cast',
]);

/** The cases of a feature and the rows' places in them, from its masks [rows, tokens] of 0 and 1. */
export function twoCases(
  b: GraphBuilder,
  value: ValueName,
  input: ValueName,
  start: ValueName | undefined,
  mask: ValueName,
): TwoCases {
  const cases = b.concat([input, start ?? b.zerosLike(input)], 0);
  const one = b.constant('int64', [], [1]);
  const replaced = b.sub(one, b.cast(mask, 'int64'));
  const places = b.add(b.mul(replaced, b.dimension(input, 1)), b.positions(input, 1));
  return { value, cases, places };
}

/** Each row's picks from a value of the cases: [2, tokens, n] to [rows, tokens, n]. */
export function pickRows(b: GraphBuilder, cases: ValueName, places: ValueName): ValueName {
  const width = b.dimension(cases, 2);
  const flat = b.reshape(cases, b.concat([b.int64s([-1]), width], 0), [undefined, b.dims(cases)?.[2]]);
  return b.gather(flat, places, 0);
}

/**
 * What the model computes of every token by itself, for the two cases: appends it, and gives for each value that other
 * nodes read the rows' picks.
 */
export function computeCases(
  b: GraphBuilder,
  model: Model,
  { value, cases, places }: TwoCases,
  kept: readonly ValueName[],
): ReadonlyMap<ValueName, ValueName> {
  const { graph } = model;
  const facts = inferGraph(graph, opsetOf(model));
  const own = new Set([value]);
  const moving = new Set([value]);
  const nodes: Node[] = [];
  const frontier = new Set<ValueName>();
  for (const node of graph.nodes) {
    if (node.outputs.includes(value)) continue;
    if (!node.inputs.some((name) => moving.has(name))) continue;
    for (const name of node.outputs) moving.add(name);
    const isFlat = facts.get(node.outputs[0]!)?.dims?.length === 3 && !kept.includes(node.outputs[0]!);
    if (isFlat && isByToken(node, own, moving, graph.initializers)) {
      own.add(node.outputs[0]!);
      nodes.push(node);
    } else for (const name of node.inputs) if (own.has(name)) frontier.add(name);
  }
  // Only a product with weights is worth the detour.
  if (!nodes.some(({ operator }) => operator === 'MatMul')) return new Map([[value, pickRows(b, cases, places)]]);
  const copied = copyNodes(b, upstreamOf(graph.nodes, nodes, moving), new Map([[value, cases]]));
  return new Map(Array.from(frontier, (name) => [name, pickRows(b, copied.get(name)!, places)]));
}

/** Nodes, in order, with those that their other inputs come from. */
function upstreamOf(all: readonly Node[], nodes: readonly Node[], moving: ReadonlySet<ValueName>): Node[] {
  const wanted = new Set(nodes);
  const needed = new Set(nodes.flatMap(({ inputs }) => inputs));
  const result: Node[] = [];
  for (const node of all.toReversed()) {
    const isUpstream = node.outputs.some((name) => needed.has(name) && !moving.has(name));
    if (!wanted.has(node) && !isUpstream) continue;
    for (const name of node.inputs) needed.add(name);
    result.unshift(node);
  }
  return result;
}

/** Whether a node of values [rows, tokens, n] treats each token by itself. */
function isByToken(
  node: Node,
  own: ReadonlySet<ValueName>,
  moving: ReadonlySet<ValueName>,
  weights: ReadonlyMap<ValueName, Weight>,
): boolean {
  if (node.domain !== '' || node.outputs.length !== 1) return false;
  const [first, ...others] = node.inputs;
  const still = (name: ValueName) => !moving.has(name);
  if (POINTWISE.has(node.operator)) return node.inputs.every((name) => own.has(name) || still(name));
  if (!own.has(first!) || !others.every(still)) return false;
  switch (node.operator) {
    case 'MatMul':
      return weights.get(others[0]!)?.dims.length === 2;
    case 'LayerNormalization':
      return positiveAxis(intAttribute(node, 'axis', -1), 3) === 2;
    case 'ReduceMean': {
      const axes = weights.get(others[0] ?? '');
      return (
        intAttribute(node, 'keepdims', 1) === 1 && axes !== undefined && /^(-1|2)$/.test(String(weightNumbers(axes, 1)))
      );
    }
    default:
      return false;
  }
}
