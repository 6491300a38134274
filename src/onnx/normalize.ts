import { takeBranches } from './branches.ts';
import { decomposeModel } from './decompose/index.ts';
import { isStatic } from './dims.ts';
import { UserError } from './errors.ts';
import { inlineFunctions } from './inline.ts';
import { inferGraph } from './infer/index.ts';
import { explicitLengths } from './lengths.ts';
import type { Graph, Model, Node, ValueName } from './model.ts';
import { opsetOf, withSubgraphs } from './model.ts';
import { explicitPadding } from './padding.ts';
import { pruneModel } from './prune.ts';
import { resolveSequences } from './sequences.ts';
import type { Dim } from './tensor.ts';
import { upgradeModel } from './upgrade.ts';
import { numbersWeight } from './weight.ts';

export interface NormalizeOptions {
  /** Fixes dims of inputs, for example `{ pixel_values: ['batch', 3, 224, 224] }`: what is known need not be computed. */
  readonly dims?: Readonly<Record<ValueName, readonly Dim[]>>;
  /** Inputs that get a value once and for all, for example `{ use_cache_branch: false }` of a merged decoder. */
  readonly values?: Readonly<Record<ValueName, number | boolean>>;
}

/**
 * The one form all later passes work on, computing the same values under the same names:
 * Functions of the model's own inlined, ai.onnx at opset 18 or newer, Constant nodes as initializers, shape arithmetic folded, explicit padding, composite
 * operators in primitives.
 * Throws a UserError when the model's opset is too old or an operator cannot be brought up.
 */
export function normalizeModel(model: Model, options: NormalizeOptions = {}): Model {
  const bound = bindValues(bindDims(model, options.dims ?? {}), options.values ?? {});
  const upgraded = upgradeModel(constantsToInitializers(inlineFunctions(bound)));
  return foldShapes(explicitLengths(decomposeModel(explicitPadding(resolveSequences(knownBranches(upgraded))))));
}

function bindDims(model: Model, dims: Readonly<Record<ValueName, readonly Dim[]>>): Model {
  if (Object.keys(dims).length === 0) return model;
  const { graph } = model;
  const inputs = graph.inputs.map((info) =>
    dims[info.name] === undefined ? info : { ...info, dims: dims[info.name] },
  );
  // What the file says of other values may name dimensions that are numbers now: inference finds them again.
  const outputs = graph.outputs.map((info) => ({
    ...info,
    dims: info.dims?.map((dim) => (typeof dim === 'number' ? dim : undefined)),
  }));
  return { ...model, graph: { ...graph, inputs, outputs, valueInfos: new Map() } };
}

/** Inputs with a given value become weights of one element. */
function bindValues(model: Model, values: Readonly<Record<ValueName, number | boolean>>): Model {
  const names = Object.keys(values);
  if (names.length === 0) return model;
  const initializers = new Map(model.graph.initializers);
  const inputs = model.graph.inputs.filter((info) => {
    const value = values[info.name];
    if (value === undefined) return true;
    const dims = info.dims?.map(() => 1) ?? [];
    initializers.set(info.name, numbersWeight(info.type, dims, [Number(value)]));
    return false;
  });
  for (const name of names)
    if (!initializers.has(name)) throw new UserError(`the model has no input named "${name}" to give a value to`);
  return { ...model, graph: { ...model.graph, inputs, initializers } };
}

/** Conditions that follow from shapes decide branches, and what a branch computes may decide others. */
function knownBranches(model: Model): Model {
  if (!model.graph.nodes.some(({ operator }) => operator === 'If')) return model;
  for (let before = foldShapes(model); ; before = foldShapes(before)) {
    const after = takeBranches(before);
    if (branchCount(after) === branchCount(before)) return after;
    before = after;
  }
}

const branchCount = ({ graph }: Model): number => graph.nodes.filter(({ operator }) => operator === 'If').length;

/** Constant nodes become initializers, in subgraphs too. */
function constantsToInitializers(model: Model): Model {
  return { ...model, graph: liftConstants(model.graph) };
}

function liftConstants(graph: Graph): Graph {
  const initializers = new Map(graph.initializers);
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const weight = node.operator === 'Constant' && node.domain === '' ? constantWeight(node) : undefined;
    if (weight === undefined) nodes.push(withSubgraphs(node, liftConstants));
    else initializers.set(node.outputs[0]!, weight);
  }
  return { ...graph, nodes, initializers };
}

function constantWeight({ attributes }: Node) {
  for (const [name, attribute] of Object.entries(attributes)) {
    if (attribute.kind === 'tensor') return attribute.value;
    if (name === 'value_int' && attribute.kind === 'int') return numbersWeight('int64', [], [attribute.value]);
    if (name === 'value_ints' && attribute.kind === 'ints')
      return numbersWeight('int64', [attribute.value.length], attribute.value);
    if (name === 'value_float' && attribute.kind === 'float') return numbersWeight('float32', [], [attribute.value]);
    if (name === 'value_floats' && attribute.kind === 'floats')
      return numbersWeight('float32', [attribute.value.length], attribute.value);
  }
  return undefined;
}

/** Integer values known from shapes alone become initializers, and what computed them goes. */
function foldShapes(model: Model): Model {
  const facts = inferGraph(model.graph, opsetOf(model));
  const initializers = new Map(model.graph.initializers);
  const nodes = model.graph.nodes.filter((node) => {
    if (node.outputs.length !== 1) return true;
    const known = facts.get(node.outputs[0]!);
    if (known?.values === undefined || !isStatic(known.values) || !isStatic(known.dims)) return true;
    initializers.set(node.outputs[0]!, numbersWeight(known.type, known.dims, known.values));
    return false;
  });
  // An output of the graph must be produced by a node or be a plain initializer: both are allowed, so nothing is lost.
  return pruneModel({ ...model, graph: { ...model.graph, nodes, initializers } });
}
