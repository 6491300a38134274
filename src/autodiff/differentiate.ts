import {
  GraphBuilder,
  UnknownRankError,
  UserError,
  isFloat,
  nodeLabel,
  pruneModel,
  valuesCaptured,
} from '../onnx/index.ts';
import type { Model, Node, ValueName } from '../onnx/index.ts';
import type { RuleContext, RuleTable } from './rule.ts';
import { nameUnknownOperators } from './coverage.ts';
import { PIECEWISE_CONSTANT, ruleKey } from './rule.ts';
import { GRADIENT_RULES } from './rules/index.ts';

export interface GradientRequest {
  /** The value to differentiate. */
  readonly of: ValueName;
  /** The values to differentiate with respect to: inputs, weights or intermediate values. */
  readonly wrt: readonly ValueName[];
  /** Gradient of the loss with respect to `of`, in its shape. */
  readonly seed: ValueName;
  /** Another set of rules than the gradient's. */
  readonly rules?: RuleTable;
}

/**
 * Appends the reverse pass to a graph under construction and returns the gradient of each value in `wrt`,
 * in its shape: sum over the elements of `of` of seed * d(of)/d(wrt). Zeros where `of` does not depend on it.
 * Throws MissingRulesError naming every operator on the way that has no rule.
 */
export function appendGradients(
  b: GraphBuilder,
  { of, wrt, seed, rules = GRADIENT_RULES }: GradientRequest,
): ReadonlyMap<ValueName, ValueName> {
  return pullGradients(b, new Map([[of, seed]]), wrt, rules);
}

/** The reverse pass from several values at once; `seeds` holds the gradient of each. */
function pullGradients(
  b: GraphBuilder,
  seeds: ReadonlyMap<ValueName, ValueName>,
  wrt: readonly ValueName[],
  rules: RuleTable,
): ReadonlyMap<ValueName, ValueName> {
  const onPath = differentiablePath(b, [...seeds.keys()], wrt, rules);
  const missing = missingRules(onPath.nodes, rules);
  if (missing.length > 0) throw new MissingRulesError(missing, b.opsets);

  const gradients = new Map<ValueName, ValueName>(seeds);
  const accumulate = (value: ValueName, contribution: ValueName) => {
    const sum = gradients.get(value);
    gradients.set(value, sum === undefined ? contribution : b.add(sum, contribution));
  };
  const wanted = new Set(wrt);
  const context: RuleContext = {
    wanted: (value) => onPath.values.has(value),
    asked: (value) => wanted.has(value),
    pull: (inner, innerSeeds, innerWrt) => pullGradients(inner, innerSeeds, innerWrt, rules),
  };
  for (const node of onPath.nodes.toReversed()) {
    const entry = rules[ruleKey(node)];
    const outputGradients = node.outputs.map((output) => gradients.get(output));
    if (typeof entry !== 'function' || outputGradients.every((gradient) => gradient === undefined)) continue;
    // Nodes may have got further outputs since the walk began: always hand the rule the node as it is now.
    b.within(gradientScope(node), () => {
      const pullbacks = entry(
        b,
        b.producer(node.outputs.find((name) => name !== '')!) ?? node,
        outputGradients,
        context,
      );
      dependencies(node).forEach((input, index) => {
        const pullback = pullbacks[index];
        if (pullback !== undefined && onPath.values.has(input)) accumulate(input, pullback());
      });
    });
    for (const output of node.outputs) if (!wanted.has(output)) gradients.delete(output);
  }
  return new Map(wrt.map((value) => [value, gradients.get(value) ?? b.zerosLike(value)]));
}

/** What the names of the nodes that a node's rule emits begin with: so that what goes wrong in them can be told by that node. */
const GRADIENT_SCOPE = 'onnxray/gradient/';
const gradientScope = (node: Node) => GRADIENT_SCOPE + nodeLabel(node);

/** The label of the node whose gradient an emitted node is part of; undefined for any other. */
export function differentiatedNode({ name }: Node): string | undefined {
  return name.startsWith(GRADIENT_SCOPE) ? name.slice(GRADIENT_SCOPE.length, name.lastIndexOf('/')) : undefined;
}

/**
 * What a node depends on, in the order of a rule's pullbacks: its inputs, then what its subgraphs read from outside. Unlike
 * `valuesRead` it keeps the places of inputs that are absent.
 */
const dependencies = (node: Node): readonly ValueName[] => [...node.inputs, ...valuesCaptured(node)];

/** Nodes and values through which `ofs` depend differentiably on `wrt`. */
function differentiablePath(b: GraphBuilder, ofs: readonly ValueName[], wrt: readonly ValueName[], rules: RuleTable) {
  const depends = new Set<ValueName>(wrt);
  const isCast = ({ operator }: Node) => operator === 'Cast' || operator === 'CastLike';
  const cut = (node: Node) =>
    rules[ruleKey(node)] === PIECEWISE_CONSTANT || (isCast(node) && !isFloat(b.type(node.outputs[0]!)));
  const candidates = b.nodes().filter((node) => {
    if (cut(node) || !dependencies(node).some((input) => depends.has(input))) return false;
    for (const output of node.outputs) if (output !== '') depends.add(output);
    return true;
  });
  const reaches = new Set<ValueName>(ofs);
  const path: Node[] = [];
  for (const node of candidates.toReversed()) {
    if (!node.outputs.some((output) => reaches.has(output))) continue;
    path.push(node);
    for (const input of dependencies(node)) if (depends.has(input)) reaches.add(input);
  }
  return { nodes: path.toReversed(), values: reaches };
}

function missingRules(path: readonly Node[], rules: RuleTable): Node[] {
  return path.filter((node) => rules[ruleKey(node)] === undefined);
}

/** What stands between a value and its gradient: operators that have no rule. */
export class MissingRulesError extends UserError {
  readonly nodes: readonly Node[];
  constructor(nodes: readonly Node[], opsets: ReadonlyMap<string, number>) {
    const first = nodes[0]!;
    const others = new Set(nodes.map(ruleKey));
    others.delete(ruleKey(first));
    const rest = others.size === 0 ? '' : `; also missing: ${[...others].sort().join(', ')}`;
    const opset = opsets.get(first.domain) ?? 1;
    super(`no gradient rule for ${ruleKey(first)} (node "${nodeLabel(first)}", opset ${opset})${rest}`);
    this.nodes = nodes;
  }
}

/** A value of the gradient says nothing to a person: the node whose gradient it belongs to does. */
function ofOwnNode(b: GraphBuilder, error: UnknownRankError): UserError {
  const producer = b.producer(error.value);
  const label = producer && differentiatedNode(producer);
  if (label === undefined) return error;
  return new UserError(
    `the ranks at node "${label}" are unknown: give the model's inputs fixed dims, or run shape inference on the model`,
    { cause: error },
  );
}

export interface DifferentiateOptions {
  /** The output, or any value, to differentiate. */
  readonly of: ValueName;
  /** Inputs, weights or intermediate values to differentiate with respect to. */
  readonly wrt: readonly ValueName[];
  /**
   * `ones` (the default): the gradient of the sum of `of`. `{ input: NAME }`: a new graph input of that name, in the
   * shape of `of`, holds the weights of its elements, so one program serves every target.
   */
  readonly seed?: 'ones' | { readonly input: string };
  /** Keep the model's own outputs beside the gradients. Default true. */
  readonly keepOutputs?: boolean;
}

export interface Differentiated {
  /** The model with the reverse pass appended. */
  readonly model: Model;
  /** Name of the gradient output of each value in `wrt`: the value's name with `_grad` behind it, and a number if that is taken. */
  readonly gradients: ReadonlyMap<ValueName, ValueName>;
}

function gradientName(b: GraphBuilder, value: ValueName): ValueName {
  const name = `${value}_grad`;
  let order = 1;
  while (b.isTaken(order === 1 ? name : `${name}_${order}`)) order++;
  return order === 1 ? name : `${name}_${order}`;
}

/**
 * A model that also computes d(of)/d(wrt), as a new model; expects the canonical form `normalizeModel` gives.
 * Throws a UserError when a name is unknown, a value is not of floats, or an operator on the way has no rule.
 */
export function differentiate(
  model: Model,
  { of, wrt, seed = 'ones', keepOutputs = true }: DifferentiateOptions,
): Differentiated {
  const b = new GraphBuilder(model);
  for (const name of [of, ...wrt]) {
    if (b.facts(name) === undefined && b.producer(name) === undefined)
      throw new UserError(`no value named "${name}" in the model; see its names with "onnxray inspect"`);
    if (b.facts(name) !== undefined && !isFloat(b.type(name)))
      throw new UserError(
        `"${name}" is of type ${b.type(name)}: only floating-point values can be differentiated${name === of ? '' : '; choose the embedding it selects'}`,
      );
  }
  if (seed !== 'ones' && seed.input === '') throw new UserError('the input for the seed needs a name');
  if (seed !== 'ones' && (b.facts(seed.input) !== undefined || b.producer(seed.input) !== undefined))
    throw new UserError(`the model already has a value named "${seed.input}"; call the seed something else`);
  const seedValue =
    seed === 'ones' ? b.onesLike(of) : b.addInput({ name: seed.input, type: b.type(of), dims: b.dims(of) });
  try {
    if (!keepOutputs) b.setOutputs([]);
    const gradients = new Map<ValueName, ValueName>();
    for (const [value, gradient] of appendGradients(b, { of, wrt, seed: seedValue })) {
      const name = gradientName(b, value);
      b.addOutput(gradient, name);
      gradients.set(value, name);
    }
    return { model: pruneModel(b.build()), gradients };
  } catch (error) {
    if (error instanceof UnknownRankError) {
      const named = error.value === seedValue ? new UnknownRankError(of) : ofOwnNode(b, error);
      throw nameUnknownOperators(named, model);
    }
    throw error;
  }
}
