import type { Graph, Model, Node, ValueName } from './model.ts';

/** The model without nodes and weights that no output depends on. */
export function pruneModel(model: Model): Model {
  return { ...model, graph: pruneGraph(model.graph) };
}

function pruneGraph(graph: Graph): Graph {
  const needed = new Set<ValueName>(graph.outputs.map(({ name }) => name));
  const kept: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const name of valuesRead(node)) needed.add(name);
  }
  return {
    ...graph,
    nodes: kept.toReversed(),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
    valueInfos: new Map([...graph.valueInfos].filter(([name]) => needed.has(name))),
  };
}

/** All values a node reads from its graph, those of its subgraphs included. */
export function valuesRead(node: Node): ValueName[] {
  return [...node.inputs.filter((name) => name !== ''), ...valuesCaptured(node)];
}

/** The values a node's subgraphs read from the graph around them, each once. */
export function valuesCaptured(node: Node): ValueName[] {
  const names = new Set<ValueName>();
  for (const attribute of Object.values(node.attributes))
    if (attribute.kind === 'graph') for (const name of outerValues(attribute.value)) names.add(name);
  return [...names];
}

function outerValues(graph: Graph): ValueName[] {
  const own = new Set([...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()]);
  for (const node of graph.nodes) for (const output of node.outputs) own.add(output);
  const read = [...graph.nodes.flatMap(valuesRead), ...graph.outputs.map(({ name }) => name)];
  return read.filter((name) => name !== '' && !own.has(name));
}
