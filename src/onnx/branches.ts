/** Branches whose condition is known take the place of their If: merged decoders, exports that test a rank. */
import type { Graph, Model, Node, ValueName, Weight } from './model.ts';
import { nodeLabel, withSubgraphs } from './model.ts';
import { definedIn, definedWithin, renameValues } from './rename.ts';
import { weightNumbers } from './weight.ts';

/** The model with every If of a constant condition replaced by the branch it takes, in subgraphs too. */
export function takeBranches(model: Model): Model {
  const defined: Definitions = new Map();
  count(defined, [...definedIn(model.graph), ...model.graph.nodes.flatMap(definedWithin)], 1);
  const graph = takeInGraph(model.graph, new Map(), defined);
  return graph === model.graph ? model : { ...model, graph };
}

/** How many graphs of a model define a value of a name: two branches may, but not a graph and one within it. */
type Definitions = Map<ValueName, number>;

function count(defined: Definitions, names: readonly ValueName[], by: 1 | -1): void {
  for (const name of names) defined.set(name, (defined.get(name) ?? 0) + by);
}

function takeInGraph(graph: Graph, outer: ReadonlyMap<ValueName, Weight>, defined: Definitions): Graph {
  if (!graph.nodes.some((node) => Object.values(node.attributes).some(({ kind }) => kind === 'graph'))) return graph;
  const initializers = new Map(graph.initializers);
  const valueInfos = new Map(graph.valueInfos);
  const constants = new Map([...outer, ...initializers]);
  const visit = (node: Node): Node[] => {
    const weight = node.operator === 'If' && node.domain === '' ? constants.get(node.inputs[0]!) : undefined;
    const condition = weight && weightNumbers(weight, 1)?.[0];
    const attribute = node.attributes[condition ? 'then_branch' : 'else_branch'];
    if (condition === undefined || attribute?.kind !== 'graph')
      return [withSubgraphs(node, (inner) => takeInGraph(inner, constants, defined))];
    const other = node.attributes[condition ? 'else_branch' : 'then_branch'];
    if (other?.kind === 'graph')
      count(defined, [...definedIn(other.value), ...other.value.nodes.flatMap(definedWithin)], -1);
    const inlined = inlineBranch(node, attribute.value, defined);
    for (const [name, value] of inlined.initializers) {
      initializers.set(name, value);
      constants.set(name, value);
    }
    return inlined.nodes.flatMap(visit);
  };
  const nodes = graph.nodes.flatMap(visit);
  return { ...graph, nodes, initializers, valueInfos };
}

function inlineBranch(node: Node, branch: Graph, defined: Definitions): Pick<Graph, 'nodes' | 'initializers'> {
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
    // Its own definition counts too.
    while ((defined.get(fresh) ?? 0) > (fresh === name ? 1 : 0)) fresh = `${nodeLabel(node)}/${fresh}`;
    if (fresh !== name) count(defined, [fresh], 1);
    names.set(name, fresh);
  }
  return {
    nodes: [...branch.nodes, ...copies].map((each) => renameValues(each, names)),
    initializers: new Map(Array.from(branch.initializers, ([name, weight]) => [names.get(name)!, weight])),
  };
}
