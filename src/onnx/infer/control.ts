/** Control flow: what is known of the outputs is what is known at the end of the subgraphs. */
import type { Facts } from '../facts.ts';
import { intAttribute, intsAttribute } from '../model.ts';
import type { Graph, Node } from '../model.ts';
import type { Dim } from '../tensor.ts';
import { positiveAxis } from '../dims.ts';
import type { InferenceInput, InferenceRule } from './rule.ts';

export function subgraph(node: Node, name: string): Graph | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'graph' ? attribute.value : undefined;
}

/** Names that stand for unknown dims within a subgraph mean nothing outside of it. */
const outside = (facts: Facts | undefined): Facts | undefined =>
  facts && {
    type: facts.type,
    dims: facts.dims?.map((dim) => (typeof dim === 'string' && /[?(]/.test(dim) ? undefined : dim)),
  };

/** What holds in both cases. */
function either(a: Facts | undefined, b: Facts | undefined): Facts | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const dims =
    a.dims?.length === b.dims?.length
      ? a.dims?.map((dim, axis) => (dim === b.dims?.[axis] ? dim : undefined))
      : undefined;
  return { type: a.type, dims };
}

const branch: InferenceRule = (input) => {
  const ends = ['then_branch', 'else_branch'].map((name) => {
    const graph = subgraph(input.node, name);
    if (graph === undefined) return [];
    const facts = input.inside(graph);
    return graph.outputs.map((info) => outside(facts.get(info.name) ?? input.outerFacts(info.name)));
  });
  return input.node.outputs.map((_, index) => either(ends[0]![index], ends[1]![index]));
};

/** States at the end of an iteration when they are `states` at its start; what does not stay equal is unknown. */
function iterate(
  input: InferenceInput,
  body: Graph,
  first: ReadonlyMap<string, Facts>,
  states: readonly (Facts | undefined)[],
  at: { readonly in: number; readonly out: number },
) {
  let before = states;
  for (let round = 0; ; round++) {
    const known = new Map(first);
    before.forEach((facts, index) => {
      const name = body.inputs[at.in + index]?.name;
      if (facts !== undefined && name !== undefined) known.set(name, facts);
    });
    const facts = input.inside(body, known);
    const ends = body.outputs.map((info) => outside(facts.get(info.name) ?? input.outerFacts(info.name)));
    const after = before.map((each, index) => each && either(each, ends[at.out + index]));
    const stable = after.every((each, index) => each?.dims?.join() === before[index]?.dims?.join());
    if (stable || round === 2) return { after, ends };
    before = after;
  }
}

const withoutValues = (facts: Facts | undefined): Facts | undefined => facts && { type: facts.type, dims: facts.dims };

const loop: InferenceRule = (input) => {
  const body = subgraph(input.node, 'body');
  if (body === undefined) return input.node.outputs.map(() => undefined);
  const count = body.inputs.length - 2;
  const states = Array.from({ length: count }, (_, index) => withoutValues(input.facts(index + 2)));
  const first = new Map<string, Facts>();
  if (body.inputs[0]) first.set(body.inputs[0].name, { type: 'int64', dims: [] });
  if (body.inputs[1]) first.set(body.inputs[1].name, { type: 'bool', dims: [] });
  const { after, ends } = iterate(input, body, first, states, { in: 2, out: 1 });
  const stacked = ends.slice(1 + count).map((facts) => facts && stack(facts, undefined, 0));
  return [...after, ...stacked];
};

function stack(facts: Facts, length: Dim, axis: number): Facts {
  if (facts.dims === undefined) return facts;
  const at = positiveAxis(axis, facts.dims.length + 1);
  return { type: facts.type, dims: [...facts.dims.slice(0, at), length, ...facts.dims.slice(at)] };
}

const scan: InferenceRule = (input) => {
  const { node } = input;
  const body = subgraph(node, 'body');
  if (body === undefined) return node.outputs.map(() => undefined);
  const slices = intAttribute(node, 'num_scan_inputs', 0);
  const count = body.inputs.length - slices;
  const axes = intsAttribute(node, 'scan_input_axes');
  let length: Dim;
  const first = new Map<string, Facts>();
  for (let index = 0; index < slices; index++) {
    const facts = input.facts(count + index);
    if (facts?.dims === undefined) continue;
    const axis = positiveAxis(axes?.[index] ?? 0, facts.dims.length);
    if (typeof facts.dims[axis] === 'number' || length === undefined) length = facts.dims[axis];
    const dims = facts.dims.filter((_, at) => at !== axis);
    first.set(body.inputs[count + index]!.name, { type: facts.type, dims });
  }
  const states = Array.from({ length: count }, (_, index) => withoutValues(input.facts(index)));
  const { after, ends } = iterate(input, body, first, states, { in: 0, out: 0 });
  const outAxes = intsAttribute(node, 'scan_output_axes');
  return [...after, ...ends.slice(count).map((facts, index) => facts && stack(facts, length, outAxes?.[index] ?? 0))];
};

export const controlling: Readonly<Record<string, InferenceRule>> = { If: branch, Loop: loop, Scan: scan };
