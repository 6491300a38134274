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
import type { InferenceRule } from './rule.ts';
import { numeric } from './rule.ts';
import { shaping } from './shape.ts';

const RULES: ReadonlyMap<string, InferenceRule> = new Map(
  Object.entries({ ...elementwise, ...shaping, ...computing, ...controlling, ...microsoft, ...machineLearning }),
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

/** Facts of every value of a graph. What the file itself says fills in where inference knows less. */
export function inferGraph(
  graph: Graph,
  opset: number,
  outer?: Surroundings,
  /** What is known of a subgraph's inputs beyond what it declares. */
  inputs?: ReadonlyMap<ValueName, Facts>,
): Map<ValueName, Facts> {
  const facts = givenFacts(graph);
  for (const [name, known] of inputs ?? [])
    facts.set(name, nameUnknownDims(mergeFacts(known, facts.get(name)) ?? known, name));
  const around: Surroundings = {
    facts: (name) => facts.get(name) ?? outer?.facts(name),
    weight: (name) => graph.initializers.get(name) ?? outer?.weight(name),
  };
  const declared = new Map([...graph.valueInfos, ...graph.outputs.map((info) => [info.name, info] as const)]);
  for (const node of graph.nodes) {
    const inferred = inferNode(node, around, opset);
    node.outputs.forEach((name, index) => {
      const known = mergeFacts(inferred[index], declared.get(name));
      if (known !== undefined && name !== '') facts.set(name, nameUnknownDims(known, name));
    });
  }
  return facts;
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
