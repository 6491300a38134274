/** Type and shape inference: facts of a node's outputs from the facts of its inputs. Expects the canonical opset. */
import type { Facts } from '../facts.ts';
import { givenFacts, nameUnknownDims, weightFacts } from '../facts.ts';
import type { Graph, Node, ValueName, Weight } from '../model.ts';
import type { Dim } from '../tensor.ts';
import { weightNumbers } from '../weight.ts';
import { computing } from './compute.ts';
import { controlling } from './control.ts';
import { elementwise } from './elementwise.ts';
import { microsoft } from './microsoft.ts';
import { machineLearning } from './ml.ts';
import { random } from './random.ts';
import type { InferenceRule } from './rule.ts';
import { numeric } from './rule.ts';
import { shaping } from './shape.ts';

const RULES: ReadonlyMap<string, InferenceRule> = new Map(
  Object.entries({
    ...elementwise,
    ...shaping,
    ...computing,
    ...controlling,
    ...random,
    ...microsoft,
    ...machineLearning,
  }),
);

/** What is known around a node. */
export interface Surroundings {
  facts(value: ValueName): Facts | undefined;
  weight(value: ValueName): Weight | undefined;
}

/** Facts of a node's outputs; an operator without an inference rule gives unknown shapes, which is never wrong. */
export function inferNode(node: Node, around: Surroundings, opset: number): readonly (Facts | undefined)[] {
  if (node.operator === 'Constant' && node.domain === '') return [constantFacts(node)];
  const rule = RULES.get(node.domain === '' ? node.operator : `${node.domain}::${node.operator}`);
  if (rule === undefined) return node.outputs.map(() => undefined);
  const facts = (index: number) => {
    const name = node.inputs[index];
    return name === undefined || name === '' ? undefined : around.facts(name);
  };
  const scales = node.inputs[2] === undefined ? undefined : around.weight(node.inputs[2]);
  const inferred = rule({
    node,
    opset,
    facts,
    type: (index) => facts(index)?.type ?? 'float32',
    dims: (index) => facts(index)?.dims,
    values: (index) => facts(index)?.values,
    numbers: (index) => numeric(facts(index)?.values),
    get scales() {
      return scales === undefined ? undefined : weightNumbers(scales, 16);
    },
    outerFacts: (name) => around.facts(name),
    inside: (graph, inputs) => inferGraph(graph, opset, around, inputs),
  });
  return inferred.map((known) => known && possible(known));
}

/** More axes than any tensor has. */
const MAX_RANK = 64;

/** Nonsense in a file, such as a stride of 0, makes nonsense dims: those count as unknown. */
function possible(facts: Facts): Facts {
  // An axis far beyond the rank makes a list that long: not to be walked through.
  if ((facts.dims?.length ?? 0) > MAX_RANK) return { ...facts, dims: undefined };
  const isDim = (dim: Dim) => typeof dim !== 'number' || (Number.isSafeInteger(dim) && dim >= 0);
  if (facts.dims?.every(isDim) ?? true) return facts;
  return { ...facts, dims: facts.dims!.map((dim) => (isDim(dim) ? dim : undefined)) };
}

function constantFacts(node: Node): Facts | undefined {
  const value = node.attributes['value'];
  return value?.kind === 'tensor' ? weightFacts(value.value) : undefined;
}

/** What is known of a graph's values, node by node: each is inferred once, in order, from those before it. */
export interface Inference extends Surroundings {
  readonly known: ReadonlyMap<ValueName, Facts>;
  /** Adds the facts of a node's outputs. */
  infer(node: Node): void;
  /** Adds a weight that the graph did not have at first. */
  addWeight(name: ValueName, weight: Weight): void;
}

/** Begins with what a graph is given. What the file itself says fills in where inference knows less. */
export function startInference(
  graph: Graph,
  opset: number,
  outer?: Surroundings,
  /** What is known of a subgraph's inputs beyond what it declares. */
  inputs?: ReadonlyMap<ValueName, Facts>,
): Inference {
  const known = givenFacts(graph);
  for (const [name, more] of inputs ?? [])
    known.set(name, nameUnknownDims(mergeFacts(more, known.get(name)) ?? more, name));
  const weights = new Map(graph.initializers);
  const declared = new Map([...graph.valueInfos, ...graph.outputs.map((info) => [info.name, info] as const)]);
  const inference: Inference = {
    known,
    facts: (name) => known.get(name) ?? outer?.facts(name),
    weight: (name) => weights.get(name) ?? outer?.weight(name),
    infer(node) {
      const inferred = inferNode(node, inference, opset);
      node.outputs.forEach((name, index) => {
        const facts = mergeFacts(inferred[index], declared.get(name));
        if (facts !== undefined && name !== '') known.set(name, nameUnknownDims(facts, name));
      });
    },
    addWeight(name, weight) {
      weights.set(name, weight);
      known.set(name, weightFacts(weight));
    },
  };
  return inference;
}

/** Facts of every value of a graph. */
export function inferGraph(
  graph: Graph,
  opset: number,
  outer?: Surroundings,
  inputs?: ReadonlyMap<ValueName, Facts>,
): ReadonlyMap<ValueName, Facts> {
  const inference = startInference(graph, opset, outer, inputs);
  for (const node of graph.nodes) inference.infer(node);
  return inference.known;
}

/** Inference wins where it knows; a declared number or name fills an unknown dimension. */
export function mergeFacts(
  inferred: Facts | undefined,
  declared: Pick<Facts, 'type' | 'dims'> | undefined,
): Facts | undefined {
  if (inferred === undefined) return declared && { type: declared.type, dims: declared.dims };
  if (declared?.dims === undefined) return inferred;
  if (inferred.dims === undefined) return { ...inferred, dims: declared.dims };
  if (inferred.dims.length !== declared.dims.length) return inferred;
  return { ...inferred, dims: inferred.dims.map((dim, axis) => dim ?? declared.dims?.[axis]) };
}
