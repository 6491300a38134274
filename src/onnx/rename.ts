/** Values under other names, where graphs are put into one another. */
import type { Graph, Node, ValueName } from './model.ts';
import { withSubgraphs } from './model.ts';

/** The node with values renamed, in its subgraphs too, as far as these don't define the names anew. */
export function renameValues(node: Node, names: ReadonlyMap<ValueName, ValueName>, name = node.name): Node {
  return withSubgraphs(renameOwn(node, names, name), (inner) => {
    const own = new Set(definedIn(inner));
    const visible = new Map([...names].filter(([name]) => !own.has(name)));
    return {
      ...inner,
      nodes: inner.nodes.map((each) => renameValues(each, visible)),
      outputs: inner.outputs.map((info) => ({ ...info, name: visible.get(info.name) ?? info.name })),
    };
  });
}

/** The node with values renamed, those that its subgraphs define included. */
export function renameThroughout(node: Node, names: ReadonlyMap<ValueName, ValueName>, name = node.name): Node {
  return withSubgraphs(renameOwn(node, names, name), (inner) => renameGraph(inner, names));
}

/** The graph with values renamed, those that it or its subgraphs define included. */
export function renameGraph(graph: Graph, names: ReadonlyMap<ValueName, ValueName>): Graph {
  const rename = (name: ValueName) => names.get(name) ?? name;
  const info = <T extends { readonly name: ValueName }>(each: T): T => ({ ...each, name: rename(each.name) });
  const keys = <T>(map: ReadonlyMap<ValueName, T>) => new Map(Array.from(map, ([name, each]) => [rename(name), each]));
  return {
    ...graph,
    inputs: graph.inputs.map(info),
    outputs: graph.outputs.map(info),
    nodes: graph.nodes.map((each) => renameThroughout(each, names)),
    initializers: keys(graph.initializers),
    valueInfos: new Map(Array.from(graph.valueInfos.values(), (each) => [rename(each.name), info(each)])),
    otherTypes: keys(graph.otherTypes),
  };
}

function renameOwn(node: Node, names: ReadonlyMap<ValueName, ValueName>, name: string): Node {
  const rename = (value: ValueName) => names.get(value) ?? value;
  return { ...node, name, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
}

/** The names that a graph gives to values, those of its subgraphs left out. */
export function definedIn({ inputs, initializers, nodes }: Graph): ValueName[] {
  const outputs = nodes.flatMap((node) => node.outputs.filter((name) => name !== ''));
  return [...inputs.map(({ name }) => name), ...initializers.keys(), ...outputs];
}

/** The names that the subgraphs of a node give to values, at any depth. */
export function definedWithin(node: Node): ValueName[] {
  return Object.values(node.attributes).flatMap((attribute) =>
    attribute.kind === 'graph' ? [...definedIn(attribute.value), ...attribute.value.nodes.flatMap(definedWithin)] : [],
  );
}

/** The graph with every name it or its subgraphs give that is `seen` around it under a name beginning with `scope`. */
export function keptApart(graph: Graph, seen: (name: ValueName) => boolean, scope: string): Graph {
  const own = [...definedIn(graph), ...graph.nodes.flatMap(definedWithin)].filter(seen);
  return own.length === 0 ? graph : renameGraph(graph, new Map(own.map((name) => [name, `${scope}/${name}`])));
}
