/** Computes of a value only the places that are read: a pooler that reads the first token needs no other of the last layer. */
import { positiveAxis } from './dims.ts';
import type { Facts } from './facts.ts';
import { inferGraph } from './infer/index.ts';
import type { Graph, Model, Node, ValueName, Weight } from './model.ts';
import { int, intAttribute, intsAttribute, opsetOf } from './model.ts';
import { pruneModel, valuesCaptured } from './prune.ts';
import type { Dim } from './tensor.ts';
import { numbersWeight, weightNumbers } from './weight.ts';

/** Of an axis only these places are read; negative ones count from the end. */
interface Places {
  readonly axis: number;
  readonly at: readonly number[];
}
type Demand = Places | 'all';

/** Operators whose output at a place is what they make of their inputs at that place, broadcast. */
const POINTWISE = new Set(
  `Abs Add And Cast Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid Identity LeakyRelu
  Less LessOrEqual Log Max Min Mul Neg Not Pow Reciprocal Relu Round Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Tanh
  ThresholdedRelu Where`.split(/\s+/),
);
const REDUCTIONS = new Set(['ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin', 'ReduceProd']);
/** More places than this are no small part of an axis. */
const MOST_PLACES = 8;

/**
 * The model with selections (a Gather of constant places) moved up as far as they commute with what is before them:
 * through pointwise operators, matrix products, softmax, norms, transposes and reshapes. What is computed is the same.
 * Changes nothing where no matrix product becomes smaller. `kept` names values that must stay whole.
 */
export function narrowToRead(model: Model, kept: readonly ValueName[]): Model {
  const plain = plainReshapes(model);
  const facts = inferGraph(plain.graph, opsetOf(plain));
  const { demands, narrowed } = findDemands(plain.graph, facts, kept);
  if (![...narrowed.keys()].some((node) => node.operator === 'MatMul')) return plain;
  return pruneModel(rebuild(plain, demands, narrowed));
}

/** Shapes that reshapes take from values become constants, where 0 (as it was) and one -1 can say them. */
function plainReshapes(model: Model): Model {
  const { graph } = model;
  if (!graph.nodes.some(({ operator }) => operator === 'Reshape')) return model;
  const facts = inferGraph(graph, opsetOf(model));
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.map((node) => {
    if (node.operator !== 'Reshape' || initializers.has(node.inputs[1]!)) return node;
    const [from, to] = [facts.get(node.inputs[0]!)?.dims, facts.get(node.outputs[0]!)?.dims];
    const shape = from && to && constantShape(from, to);
    return shape === undefined ? node : withShape(node, shape, initializers);
  });
  return pruneModel({ ...model, graph: { ...graph, nodes, initializers } });
}

function constantShape(from: readonly Dim[], to: readonly Dim[]): number[] | undefined {
  if (to.includes(0) || to.includes(undefined)) return undefined;
  const shape = to.map((dim, axis) => (typeof dim === 'number' ? dim : from[axis] === dim ? 0 : -1));
  return shape.filter((dim) => dim === -1).length <= 1 ? shape : undefined;
}

function withShape(node: Node, shape: readonly number[], initializers: Map<ValueName, Weight>): Node {
  const name = `${node.outputs[0]!}/onnxray/shape`;
  initializers.set(name, numbersWeight('int64', [shape.length], shape));
  const { allowzero: _allowzero, ...attributes } = node.attributes;
  return { ...node, inputs: [node.inputs[0]!, name], attributes };
}

interface Found {
  /** What is read of each value; a value without an entry is not read. */
  readonly demands: ReadonlyMap<ValueName, Demand>;
  /** Nodes that compute only some places, and what of their inputs they then read. */
  readonly narrowed: ReadonlyMap<Node, readonly Demand[]>;
}

function findDemands(graph: Graph, facts: ReadonlyMap<ValueName, Facts>, kept: readonly ValueName[]): Found {
  const demands = new Map<ValueName, Demand>();
  const narrowed = new Map<Node, readonly Demand[]>();
  const ask = (name: ValueName, demand: Demand) => {
    const known = demands.get(name);
    demands.set(name, known === undefined || sameDemand(known, demand) ? demand : 'all');
  };
  for (const name of [...kept, ...graph.outputs.map((info) => info.name)]) ask(name, 'all');
  for (const node of graph.nodes.toReversed()) {
    const own = node.outputs.length === 1 ? demands.get(node.outputs[0]!) : 'all';
    const inputs =
      own === undefined || own === 'all' ? selection(node, graph, facts) : inputDemands(node, own, facts, graph);
    if (inputs !== undefined && own !== undefined && own !== 'all') narrowed.set(node, inputs);
    node.inputs.forEach((name, index) => ask(name, inputs?.[index] ?? 'all'));
    for (const name of valuesCaptured(node)) ask(name, 'all');
  }
  return { demands, narrowed };
}

const sameDemand = (left: Demand, right: Demand) =>
  left === right ||
  (left !== 'all' && right !== 'all' && left.axis === right.axis && left.at.join() === right.at.join());

/** What a selecting node reads of its input. */
function selection(node: Node, graph: Graph, facts: ReadonlyMap<ValueName, Facts>): readonly Demand[] | undefined {
  const [data, places] = node.inputs;
  const indices = node.operator === 'Gather' && node.domain === '' ? graph.initializers.get(places!) : undefined;
  const rank = facts.get(data!)?.dims?.length ?? 0;
  if (indices === undefined || graph.initializers.has(data!) || rank < 3) return undefined;
  const at = weightNumbers(indices, MOST_PLACES);
  const axis = positiveAxis(intAttribute(node, 'axis', 0), rank);
  const length = facts.get(data!)!.dims![axis];
  if (at === undefined || at.length === 0 || (typeof length === 'number' && length <= at.length)) return undefined;
  return [{ axis, at }, 'all'];
}

/** What a node reads of each input when only some places of its output are; undefined when it has to compute them all. */
function inputDemands(
  node: Node,
  own: Places,
  facts: ReadonlyMap<ValueName, Facts>,
  graph: Graph,
): readonly Demand[] | undefined {
  if (node.domain !== '') return undefined;
  const dimsOf = (name: ValueName) => facts.get(name)?.dims;
  const dims = dimsOf(node.outputs[0]!);
  if (dims === undefined) return undefined;
  const { axis } = own;
  const first = dimsOf(node.inputs[0]!);
  if (POINTWISE.has(node.operator))
    return allKnown(node.inputs.map((name) => (name === '' ? 'all' : broadcastDemand(dimsOf(name), dims, own))));
  switch (node.operator) {
    case 'LayerNormalization':
      return axis < positiveAxis(intAttribute(node, 'axis', -1), dims.length)
        ? node.inputs.map((_, index) => (index === 0 ? own : 'all'))
        : undefined;
    case 'Softmax':
    case 'LogSoftmax':
      return axis === positiveAxis(intAttribute(node, 'axis', -1), dims.length) ? undefined : [own];
    case 'Transpose': {
      const perm = intsAttribute(node, 'perm') ?? dims.map((_, index) => dims.length - 1 - index);
      return [{ ...own, axis: perm[axis]! }];
    }
    case 'MatMul': {
      const [left, right] = [first, dimsOf(node.inputs[1]!)];
      if (left === undefined || right === undefined || left.length < 2 || right.length < 2) return undefined;
      if (axis === dims.length - 1) return undefined;
      if (axis === dims.length - 2) return [{ ...own, axis: left.length - 2 }, 'all'];
      const batch = (other: readonly Dim[]) => broadcastDemand(other.slice(0, -2), dims.slice(0, -2), own);
      return allKnown([batch(left), batch(right)]);
    }
    case 'Reshape': {
      const shape = graph.initializers.get(node.inputs[1]!);
      const same = first?.slice(0, axis + 1).every((dim, at) => dim !== undefined && dim === dims[at]);
      const zeros = intAttribute(node, 'allowzero', 0) === 1 && dims.includes(0);
      return shape !== undefined && same && first!.length > axis && !zeros ? [own, 'all'] : undefined;
    }
    default: {
      if (!REDUCTIONS.has(node.operator) || intAttribute(node, 'keepdims', 1) !== 1 || first === undefined)
        return undefined;
      const axes = graph.initializers.get(node.inputs[1] ?? '');
      const reduced = axes && weightNumbers(axes, first.length)?.map((each) => positiveAxis(each, first.length));
      return reduced === undefined || reduced.length === 0 || reduced.includes(axis) ? undefined : [own, 'all'];
    }
  }
}

/** The places of an operand that is broadcast; undefined when it can't be told whether it is. */
function broadcastDemand(operand: readonly Dim[] | undefined, dims: readonly Dim[], own: Places): Demand | undefined {
  if (operand === undefined) return undefined;
  const axis = own.axis - (dims.length - operand.length);
  if (axis < 0 || operand[axis] === 1) return 'all';
  return operand[axis] !== undefined && operand[axis] === dims[own.axis] ? { ...own, axis } : undefined;
}

const allKnown = (demands: readonly (Demand | undefined)[]): readonly Demand[] | undefined =>
  demands.every((demand): demand is Demand => demand !== undefined) ? demands : undefined;

/** The graph in which narrowed nodes compute their places only; where such a place is read of a whole value, it is picked. */
function rebuild(model: Model, demands: Found['demands'], narrowed: Found['narrowed']): Model {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  const nodes: Node[] = [];
  const picked = new Map<string, ValueName>();
  const isNarrow = new Set<ValueName>([...narrowed.keys()].map((node) => node.outputs[0]!));
  /** Some places of a value that is computed whole. */
  const pick = (name: ValueName, { axis, at }: Places): ValueName => {
    const key = `${name}/onnxray/places/${axis}/${at.join('_')}`;
    if (!picked.has(key)) {
      initializers.set(`${key}/at`, numbersWeight('int64', [at.length], at));
      const attributes = { axis: int(axis) };
      nodes.push({
        name: key,
        operator: 'Gather',
        domain: '',
        inputs: [name, `${key}/at`],
        outputs: [key],
        attributes,
      });
      picked.set(key, key);
    }
    return key;
  };
  const read = (name: ValueName, demand: Demand) =>
    demand === 'all' || isNarrow.has(name) ? name : pick(name, demand);
  for (const node of graph.nodes) {
    const inputs = narrowed.get(node);
    if (inputs === undefined) {
      nodes.push(isNarrow.has(node.inputs[0] ?? '') ? takeAll(node, initializers) : node);
      continue;
    }
    const changed = { ...node, inputs: node.inputs.map((name, index) => read(name, inputs[index]!)) };
    if (node.operator !== 'Reshape') {
      nodes.push(changed);
      continue;
    }
    const { axis } = demands.get(node.outputs[0]!) as Places;
    const shape = weightNumbers(graph.initializers.get(node.inputs[1]!)!, 64)!;
    nodes.push(
      withShape(
        changed,
        shape.map((dim, at) => (at === axis ? 0 : dim)),
        initializers,
      ),
    );
  }
  // What the file says of shapes no longer holds.
  return { ...model, graph: { ...graph, nodes, initializers, valueInfos: new Map() } };
}

/** A selection of what is already narrow takes it all, in order; a scalar index still drops its axis. */
function takeAll(node: Node, initializers: Map<ValueName, Weight>): Node {
  const { dims } = initializers.get(node.inputs[1]!)!;
  const name = `${node.outputs[0]!}/onnxray/all`;
  const count = dims.reduce((product, dim) => product * dim, 1);
  initializers.set(
    name,
    numbersWeight(
      'int64',
      dims,
      Array.from({ length: count }, (_, at) => at),
    ),
  );
  return { ...node, inputs: [node.inputs[0]!, name] };
}
