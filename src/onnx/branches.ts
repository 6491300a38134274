/** Branches whose condition is known take the place of their If: merged decoders, exports that test a rank. */
import type { Graph, Model, Node, ValueName, Weight } from './model.ts';
import { nodeLabel, withSubgraphs } from './model.ts';
import { weightNumbers } from './weight.ts';

/** The model with every If of a constant condition replaced by the branch it takes, in subgraphs too. */
export function takeBranches(model: Model): Model {
  const taken = new Set<string>();
  collectNames(model.graph, taken);
  const graph = takeInGraph(model.graph, new Map(), taken);
  return graph === model.graph ? model : { ...model, graph };
}

function collectNames(graph: Graph, names: Set<string>): void {
  for (const { name } of graph.inputs) names.add(name);
  for (const name of graph.initializers.keys()) names.add(name);
  for (const node of graph.nodes) for (const output of node.outputs) names.add(output);
}

function takeInGraph(graph: Graph, outer: ReadonlyMap<ValueName, Weight>, taken: Set<string>): Graph {
  if (!graph.nodes.some((node) => Object.values(node.attributes).some(({ kind }) => kind === 'graph'))) return graph;
  const initializers = new Map(graph.initializers);
  const valueInfos = new Map(graph.valueInfos);
  const constants = new Map([...outer, ...initializers]);
  const visit = (node: Node): Node[] => {
    const weight = node.operator === 'If' && node.domain === '' ? constants.get(node.inputs[0]!) : undefined;
    const condition = weight && weightNumbers(weight, 1)?.[0];
    const attribute = node.attributes[condition ? 'then_branch' : 'else_branch'];
    if (condition === undefined || attribute?.kind !== 'graph')
      return [withSubgraphs(node, (inner) => takeInGraph(inner, constants, taken))];
    const inlined = inlineBranch(node, attribute.value, taken);
    for (const [name, value] of inlined.initializers) {
      initializers.set(name, value);
      constants.set(name, value);
    }
    return inlined.nodes.flatMap(visit);
  };
  const nodes = graph.nodes.flatMap(visit);
  return { ...graph, nodes, initializers, valueInfos };
}

function inlineBranch(node: Node, branch: Graph, taken: Set<string>): Pick<Graph, 'nodes' | 'initializers'> {
  const names = new Map<ValueName, ValueName>();
  const produced = new Set(branch.nodes.flatMap(({ outputs }) => outputs));
  const copies: Node[] = [];
  branch.outputs.forEach(({ name }, index) => {
    const output = node.outputs[index];
    if (!output) return;
    if (produced.has(name) && !names.has(name)) names.set(name, output);
    else
      copies.push({
        name: `${node.name}/${name}`,
        operator: 'Identity',
        domain: '',
        inputs: [name],
        outputs: [output],
        attributes: {},
      });
  });
  for (const name of [...produced, ...branch.initializers.keys()]) {
    if (name === '' || names.has(name)) continue;
    let fresh = name;
    while (taken.has(fresh)) fresh = `${nodeLabel(node)}/${fresh}`;
    taken.add(fresh);
    names.set(name, fresh);
  }
  return {
    nodes: [...branch.nodes, ...copies].map((each) => renameValues(each, names)),
    initializers: new Map(Array.from(branch.initializers, ([name, weight]) => [names.get(name)!, weight])),
  };
}

/** The node with values renamed, in its subgraphs too, as far as these don't define the names anew. */
export function renameValues(node: Node, names: ReadonlyMap<ValueName, ValueName>, name = node.name): Node {
  const rename = (name: ValueName) => names.get(name) ?? name;
  const renamed = { ...node, name, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
  return withSubgraphs(renamed, (inner) => {
    const own = new Set([...inner.inputs.map(({ name }) => name), ...inner.initializers.keys()]);
    for (const each of inner.nodes) for (const output of each.outputs) own.add(output);
    const visible = new Map([...names].filter(([name]) => !own.has(name)));
    return {
      ...inner,
      nodes: inner.nodes.map((each) => renameValues(each, visible)),
      outputs: inner.outputs.map((info) => ({ ...info, name: visible.get(info.name) ?? info.name })),
    };
  });
}
