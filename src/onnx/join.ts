/** Several files that make up one model, as exporters write them: towers of CLIP, an encoder and the decoder that looks at it. */
import { UserError } from './errors.ts';
import { inlineFunctions } from './inline.ts';
import type { Attribute, Graph, Model, Node, ValueName, Weight } from './model.ts';
import { withSubgraphs } from './model.ts';
import type { ValueInfo } from './tensor.ts';

/** One of the files, and what to call it: names that another file has too stand behind this. */
export interface ModelPart {
  readonly name: string;
  readonly model: Model;
}

/** What a decoder calls what its encoder hands on, and what encoders call that. */
const TAKEN = /^encoder_(?:hidden_states|outputs)$/;
const HANDED_ON = /^(?:last_hidden_state|encoder_last_hidden_state|encoder_hidden_states|hidden_states)$/;
/** Inputs of such a decoder under the names they have where encoder and decoder are one file. */
const OF_A_DECODER: Readonly<Record<ValueName, ValueName>> = {
  input_ids: 'decoder_input_ids',
  attention_mask: 'decoder_attention_mask',
  encoder_attention_mask: 'attention_mask',
};

/**
 * The files as one model: outputs of one that are inputs of another are handed on inside, by name, or as `last_hidden_state`
 * to `encoder_hidden_states`; what is left of the inputs and outputs are those of the whole, first the outputs of what takes
 * from others. Inputs of one name are one input. Values, nodes and weights keep their names, but those that an earlier file has.
 * Weights are shared, not copied.
 * Throws a UserError where the files use different operator sets, hand on in a circle, or name one input for two things.
 */
export function joinModels(parts: readonly ModelPart[]): Model {
  const inlined = parts.map(({ name, model }) => ({ name, model: asDecoder(inlineFunctions(model)) }));
  const ordered = inOrder(inlined);
  const taken = new Set<string>();
  const inputs = new Map<ValueName, ValueInfo>();
  /** Outputs of the parts so far, by what they were called in their file. */
  const produced = new Map<ValueName, ValueName>();
  const handedOn = new Set<ValueName>();
  const outputs: { readonly value: ValueInfo; readonly takes: boolean }[] = [];
  const graphs = ordered.map(({ name, model }) => {
    let takesSome = false;
    const names = new Map<ValueName, ValueName>();
    for (const info of model.graph.inputs) {
      const source = sourceOf(info.name, produced);
      if (source === undefined) {
        shareInput(inputs, info, name);
        names.set(info.name, info.name);
      } else {
        takesSome = true;
        handedOn.add(source);
        names.set(info.name, source);
      }
    }
    const graph = renamed(model.graph, uniqueNames(model.graph, name, taken, names));
    model.graph.outputs.forEach((info, at) => {
      produced.set(info.name, graph.outputs[at]!.name);
      outputs.push({ value: graph.outputs[at]!, takes: takesSome });
    });
    return graph;
  });
  const left = outputs
    .filter(({ value }) => !handedOn.has(value.name))
    .toSorted((a, b) => Number(b.takes) - Number(a.takes));
  const merge = <V>(of: (graph: Graph) => ReadonlyMap<string, V>): ReadonlyMap<string, V> =>
    new Map(graphs.flatMap((graph) => [...of(graph)]));
  return {
    irVersion: Math.max(...ordered.map(({ model }) => model.irVersion)),
    producer: parts[0]!.model.producer,
    opsets: commonOpsets(ordered),
    functions: [],
    metadata: parts[0]!.model.metadata,
    graph: {
      name: graphs[0]!.name,
      inputs: [...inputs.values()],
      outputs: left.map(({ value }) => value),
      nodes: graphs.flatMap(({ nodes }) => nodes),
      initializers: merge(({ initializers }) => initializers),
      valueInfos: merge(({ valueInfos }) => valueInfos),
      otherTypes: merge(({ otherTypes }) => otherTypes),
    },
  };
}

/** A decoder that takes what an encoder hands on, with its inputs called as beside that encoder. */
function asDecoder(model: Model): Model {
  if (!model.graph.inputs.some(({ name }) => TAKEN.test(name))) return model;
  const names = new Map(
    Object.entries(OF_A_DECODER).filter(([name]) => model.graph.inputs.some((i) => i.name === name)),
  );
  return { ...model, graph: renamed(model.graph, names) };
}

/** Whoever hands on stands before whoever takes. */
function inOrder(parts: readonly ModelPart[]): readonly ModelPart[] {
  const waiting = [...parts];
  const done: ModelPart[] = [];
  while (waiting.length > 0) {
    const ready = waiting.findIndex((part) => waiting.every((other) => other === part || !takes(part, other)));
    if (ready < 0) throw new UserError(`${waiting.map(({ name }) => name).join(' and ')} hand on to one another`);
    done.push(...waiting.splice(ready, 1));
  }
  return done;
}

function takes({ model }: ModelPart, other: ModelPart): boolean {
  const produced = new Map(other.model.graph.outputs.map(({ name }) => [name, name]));
  return model.graph.inputs.some(({ name }) => sourceOf(name, produced) !== undefined);
}

function sourceOf(input: ValueName, produced: ReadonlyMap<ValueName, ValueName>): ValueName | undefined {
  const found = produced.get(input);
  if (found !== undefined || !TAKEN.test(input)) return found;
  return [...produced].find(([name]) => HANDED_ON.test(name))?.[1];
}

function shareInput(inputs: Map<ValueName, ValueInfo>, info: ValueInfo, part: string): void {
  const known = inputs.get(info.name);
  if (known !== undefined && (known.type !== info.type || known.dims?.length !== info.dims?.length))
    throw new UserError(`${part} takes an input "${info.name}" that another file takes as something else`);
  if (known === undefined) inputs.set(info.name, info);
}

/** New names for what an earlier file has: values, and nodes by `node ` and their name. Takes all that are used. */
function uniqueNames(
  graph: Graph,
  part: string,
  taken: Set<string>,
  wired: ReadonlyMap<ValueName, ValueName>,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>(wired);
  const own = new Set<string>();
  collectNames(graph, own);
  for (const name of own)
    if (!names.has(name) && taken.has(name)) names.set(name, free(behind(part, name), own, taken));
  for (const name of own) taken.add(names.get(name) ?? name);
  return names;
}

/** A name behind that of its file; exporters begin theirs with a slash, and nodes' are keys here. */
function behind(part: string, name: string): string {
  const [key, own] = name.startsWith(NODE) ? [NODE, name.slice(NODE.length)] : ['', name];
  return `${key}${part}/${own.replace(/^\/+/, '')}`;
}

function free(wanted: string, own: ReadonlySet<string>, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let count = 1; own.has(name) || taken.has(name); count++) name = `${wanted}_${count}`;
  return name;
}

/** Nodes have names of their own beside the values'. */
const NODE = 'node ';
const nodeKey = (name: string) => `${NODE}${name}`;

function collectNames(graph: Graph, into: Set<string>): void {
  for (const { name } of [...graph.inputs, ...graph.outputs]) into.add(name);
  for (const name of graph.initializers.keys()) into.add(name);
  for (const node of graph.nodes) {
    if (node.name !== '') into.add(nodeKey(node.name));
    for (const name of node.outputs) if (name !== '') into.add(name);
    for (const attribute of Object.values(node.attributes))
      if (attribute.kind === 'graph') collectNames(attribute.value, into);
  }
}

/** The graph with values and nodes renamed, those of subgraphs too: the names are new to the whole, so nothing is hidden. */
function renamed(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const of = (name: string) => names.get(name) ?? name;
  const info = (each: ValueInfo): ValueInfo => ({ ...each, name: of(each.name) });
  const keys = <V>(map: ReadonlyMap<string, V>, change: (value: V) => V): ReadonlyMap<string, V> =>
    new Map(Array.from(map, ([name, value]) => [of(name), change(value)]));
  const node = (each: Node): Node =>
    withSubgraphs(
      {
        ...each,
        name: names.get(nodeKey(each.name))?.slice(NODE.length) ?? each.name,
        inputs: each.inputs.map(of),
        outputs: each.outputs.map(of),
      },
      (inner) => renamed(inner, names),
    );
  return {
    ...graph,
    inputs: graph.inputs.map(info),
    outputs: graph.outputs.map(info),
    nodes: graph.nodes.map(node),
    initializers: keys(graph.initializers, (weight) => weight),
    valueInfos: keys(graph.valueInfos, info),
    otherTypes: keys(graph.otherTypes, (type) => type),
  };
}

/** The operator sets of all files: each in one version. */
function commonOpsets(parts: readonly ModelPart[]): ReadonlyMap<string, number> {
  const opsets = new Map<string, number>();
  for (const { name, model } of parts)
    for (const [domain, version] of model.opsets) {
      const known = opsets.get(domain);
      if (known !== undefined && known !== version)
        throw new UserError(
          `${name} uses operator set ${domain || 'ai.onnx'} ${version}, another file ${known}: convert them to one with onnx.version_converter`,
        );
      opsets.set(domain, version);
    }
  return opsets;
}

/**
 * The model with its weights said to stand in a file of this name, beside the file of the model it is joined to; without a
 * name, as weights that stand in no file.
 */
export function weightsOf(model: Model, file: string | undefined): Model {
  const change = (weight: Weight): Weight => {
    const { storage } = weight;
    if (storage.kind !== 'bytes' || storage.fileOffset === undefined) return weight;
    const { bytes, fileOffset } = storage;
    return {
      ...weight,
      storage: file === undefined ? { kind: 'bytes', bytes } : { kind: 'bytes', bytes, fileOffset, file },
    };
  };
  return { ...model, graph: withWeights(model.graph, change) };
}

function withWeights(graph: Graph, change: (weight: Weight) => Weight): Graph {
  const attribute = (each: Attribute): Attribute =>
    each.kind === 'tensor' ? { ...each, value: change(each.value) } : each;
  const nodes = graph.nodes.map((node) => {
    const attributes = Object.entries(node.attributes).map(([name, each]) => [name, attribute(each)] as const);
    return withSubgraphs({ ...node, attributes: Object.fromEntries(attributes) }, (inner) =>
      withWeights(inner, change),
    );
  });
  return {
    ...graph,
    nodes,
    initializers: new Map(Array.from(graph.initializers, ([name, weight]) => [name, change(weight)])),
  };
}
