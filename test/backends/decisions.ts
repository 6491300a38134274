/**
 * What a program decides rather than computes: which side of a rectifier's kink, which place holds a maximum, what is rounded
 * up. Where float32 leaves a value within rounding of a kink, two back ends that are both right may decide otherwise, and a
 * gradient then jumps. With the decisions of one given to the other, what is left to differ is arithmetic.
 */
import { inferGraph, isFloat, opsetOf, pruneModel } from '../../src/onnx/index.ts';
import type { Model, NamedTensors, ValueInfo } from '../../src/onnx/index.ts';
import { numbersOf } from '../models.ts';

/** Operators whose floats are whole numbers found by rounding. */
const ROUNDING: ReadonlySet<string> = new Set(['Floor', 'Ceil', 'Round', 'Sign']);

/** Values that are no floats, or rounded ones, made by nodes that read a float that depends on the inputs. */
function decisionsOf(model: Model): ValueInfo[] {
  const { graph } = model;
  const facts = inferGraph(graph, opsetOf(model));
  const floats = new Set(graph.inputs.filter(({ type }) => isFloat(type)).map(({ name }) => name));
  const depending = new Set(graph.inputs.map(({ name }) => name));
  const decisions: ValueInfo[] = [];
  for (const { operator, inputs, outputs } of graph.nodes) {
    if (operator === 'Shape' || operator === 'Size' || !inputs.some((name) => depending.has(name))) continue;
    const decides = inputs.some((name) => floats.has(name));
    for (const name of outputs) {
      const known = facts.get(name);
      if (known === undefined) continue;
      depending.add(name);
      const float = isFloat(known.type);
      if (float) floats.add(name);
      if (decides && (!float || ROUNDING.has(operator))) decisions.push({ name, type: known.type, dims: known.dims });
    }
  }
  return decisions;
}

/** The same program that tells its decisions as well. */
export function tellingDecisions(model: Model): { readonly model: Model; readonly names: readonly string[] } {
  const { graph } = model;
  const decisions = decisionsOf(model);
  const own = new Set(graph.outputs.map(({ name }) => name));
  const outputs = [...graph.outputs, ...decisions.filter(({ name }) => !own.has(name))];
  return { model: { ...model, graph: { ...graph, outputs } }, names: decisions.map(({ name }) => name) };
}

/** The same program that is given its decisions. */
export function givenDecisions(model: Model): Model {
  const { graph } = model;
  const answers = new Set(graph.outputs.map(({ name }) => name));
  const decisions = decisionsOf(model).filter(({ name }) => !answers.has(name));
  const given = new Set(decisions.map(({ name }) => name));
  const nodes = graph.nodes.map((node) => ({
    ...node,
    outputs: node.outputs.map((name) => (given.has(name) ? `${name}/decided` : name)),
  }));
  return pruneModel({ ...model, graph: { ...graph, nodes, inputs: [...graph.inputs, ...decisions] } });
}

/** How many of the decisions differ, of how many. */
export function flips(names: readonly string[], ours: NamedTensors, theirs: NamedTensors) {
  let [flipped, all] = [0, 0];
  for (const name of names) {
    const [a, b] = [numbersOf(ours[name]!), numbersOf(theirs[name]!)];
    all += a.length;
    a.forEach((value, at) => {
      if (value !== b[at]) flipped++;
    });
  }
  return { flipped, all };
}
