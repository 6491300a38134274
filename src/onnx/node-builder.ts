import { positiveAxis } from './dims.ts';
import { UserError } from './errors.ts';
import type { Facts } from './facts.ts';
import { givenFacts, nameUnknownDims, weightFacts } from './facts.ts';
import { inferNode, mergeFacts } from './infer/index.ts';
import type { Attribute, Graph, Model, Node, ValueName, Weight } from './model.ts';
import { opsetOf } from './model.ts';
import type { EmittedOperator } from './operators.ts';
import type { DataType, Dim, ValueInfo } from './tensor.ts';
import { numbersWeight, weightNumbers } from './weight.ts';

export interface NodeOptions {
  /** How many outputs; 1 unless said. */
  readonly outputs?: number;
  /** What we know of the first output beyond what inference finds. */
  readonly dims?: readonly Dim[] | undefined;
  /** What we know of each output. */
  readonly facts?: readonly Facts[];
}

export interface BuilderOptions {
  /** The graph around this one, whose values a subgraph may read. */
  readonly outer?: NodeBuilder;
  /** What the names of emitted nodes begin with. Default: `onnxray`. */
  readonly scope?: string;
}

/**
 * A model under construction: appends nodes, knows the type and shape of every value as it goes, makes equal nodes
 * and constants once. `GraphBuilder` adds a helper per operator.
 */
export class NodeBuilder {
  readonly opset: number;
  readonly #model: Model;
  readonly #nodes: Node[];
  readonly #facts: Map<ValueName, Facts>;
  readonly #initializers: Map<ValueName, Weight>;
  readonly #producers = new Map<ValueName, number>();
  readonly #constants = new Map<string, ValueName>();
  /** Outputs of emitted nodes by what they compute. */
  readonly #made = new Map<string, ValueName[]>();
  readonly #taken: Set<string>;
  /** Values of which a rule said more than inference finds: whoever reads the model next should know it too. */
  readonly #told = new Set<ValueName>();
  /** Domains other than ai.onnx of emitted operators, those of subgraphs included. */
  readonly #domains: Set<string>;
  #inputs: ValueInfo[];
  #outputs: ValueInfo[];
  #counter = 0;
  #scope: string;
  readonly #outer: NodeBuilder | undefined;

  constructor(model: Model, { outer, scope = 'onnxray' }: BuilderOptions = {}) {
    const { graph } = model;
    this.#model = model;
    this.#outer = outer;
    this.#domains = outer === undefined ? new Set() : outer.#domains;
    this.#scope = scope;
    this.opset = opsetOf(model);
    this.#nodes = [];
    this.#inputs = [...graph.inputs];
    this.#outputs = [...graph.outputs];
    this.#initializers = new Map(graph.initializers);
    this.#facts = givenFacts(graph);
    this.#taken = new Set();
    for (const name of this.#facts.keys()) this.#take(name);
    for (const node of graph.nodes) this.#takeAll(node);
    for (const node of graph.nodes) this.push(node);
  }

  #infer(node: Node) {
    return inferNode(node, { facts: (name) => this.facts(name), weight: (name) => this.weight(name) }, this.opset);
  }

  /** A name is taken with all that it stands under, so that names made under a fresh one are fresh too. */
  #take(name: string): void {
    for (let end = name.length; end > 0; end = name.lastIndexOf('/', end - 1)) {
      const part = name.slice(0, end);
      if (this.#taken.has(part)) return;
      this.#taken.add(part);
    }
  }

  /** The names of a node's outputs and of all values within it. */
  #takeAll({ outputs, attributes }: Node): void {
    for (const output of outputs) this.#take(output);
    for (const attribute of Object.values(attributes)) {
      if (attribute.kind !== 'graph') continue;
      for (const { name } of attribute.value.inputs) this.#take(name);
      for (const name of attribute.value.initializers.keys()) this.#take(name);
      for (const node of attribute.value.nodes) this.#takeAll(node);
    }
  }

  /** Appends a node as it is. */
  push(node: Node, dims?: readonly Dim[]): void {
    const inferred = this.#infer(node);
    this.#takeAll(node);
    node.outputs.forEach((name, index) => {
      if (name === '') return;
      this.#producers.set(name, this.#nodes.length);
      let known = mergeFacts(inferred[index], this.#model.graph.valueInfos.get(name));
      if (index === 0 && dims !== undefined) this.#told.add(name);
      if (index === 0 && dims !== undefined) known = mergeFacts(known, { type: known?.type ?? 'float32', dims });
      if (known !== undefined) this.#facts.set(name, nameUnknownDims(known, name));
    });
    this.#nodes.push(node);
  }

  /** Appends an operator, of ai.onnx where its name has no domain, and names its outputs. Equal nodes are made once. */
  emit(
    operator: EmittedOperator,
    inputs: readonly ValueName[],
    attributes: Readonly<Record<string, Attribute | undefined>> = {},
    options: NodeOptions = {},
  ): ValueName[] {
    const key = emissionKey(operator, inputs, attributes, options.outputs);
    const made = key === undefined ? undefined : this.#made.get(key);
    if (made !== undefined) return made;
    const [own, domain] = operator.split('::').toReversed() as [string, string?];
    if (domain !== undefined) this.importDomain(domain);
    const name = this.unusedName(`${this.#scope}/${own}`);
    const count = options.outputs ?? 1;
    const outputs = Array.from({ length: count }, (_, index) => (count === 1 ? `${name}:0` : `${name}:${index}`));
    let end = inputs.length;
    while (end > 0 && inputs[end - 1] === '') end--;
    const kept = Object.entries(attributes).filter((entry): entry is [string, Attribute] => entry[1] !== undefined);
    this.push(
      {
        name,
        operator: own,
        domain: domain ?? '',
        inputs: inputs.slice(0, end),
        outputs,
        attributes: Object.fromEntries(kept),
      },
      options.dims,
    );
    options.facts?.forEach((facts, index) => {
      const output = outputs[index]!;
      this.#told.add(output);
      this.#facts.set(output, nameUnknownDims(mergeFacts(this.#facts.get(output), facts) ?? facts, output));
    });
    if (key !== undefined) this.#made.set(key, outputs);
    return outputs;
  }

  /** Says that the model has operators of another domain, at version 1. */
  importDomain(domain: string): void {
    this.#domains.add(domain);
  }

  /** Appends an operator with one output. */
  op(
    operator: EmittedOperator,
    inputs: readonly ValueName[],
    attributes: Readonly<Record<string, Attribute | undefined>> = {},
    options: NodeOptions = {},
  ): ValueName {
    return this.emit(operator, inputs, attributes, options)[0]!;
  }

  /** Keeps the names of nodes that are still to be pushed from being given to others. */
  reserve(nodes: readonly Node[]): void {
    for (const { name, outputs } of nodes) for (const each of [name, ...outputs]) this.#taken.add(each);
  }

  unusedName(prefix: string): string {
    let name: string;
    do name = `${prefix}_${this.#counter++}`;
    while (this.isTaken(name) || this.isTaken(`${name}:0`));
    return name;
  }

  isTaken(name: string): boolean {
    return this.#taken.has(name) || (this.#outer?.isTaken(name) ?? false);
  }

  /** Nodes emitted by `emitting` are named under `scope`: the node they stand for. */
  within<T>(scope: string, emitting: () => T): T {
    const before = this.#scope;
    this.#scope = scope;
    try {
      return emitting();
    } finally {
      this.#scope = before;
    }
  }

  /** Version of each operator set by domain. */
  get opsets(): ReadonlyMap<string, number> {
    return this.#model.opsets;
  }

  // --- what is known -------------------------------------------------------------------------------------------

  facts(value: ValueName): Facts | undefined {
    return this.#facts.get(value) ?? this.#outer?.facts(value);
  }

  type(value: ValueName): DataType {
    return this.facts(value)?.type ?? 'float32';
  }

  dims(value: ValueName): readonly Dim[] | undefined {
    return this.facts(value)?.dims;
  }

  /** Rank of a value; a rule that needs it cannot work without, so an unknown rank is an error that names the value. */
  rank(value: ValueName): number {
    const dims = this.dims(value);
    if (dims === undefined) throw new UnknownRankError(value);
    return dims.length;
  }

  axis(value: ValueName, axis: number): number {
    return positiveAxis(axis, this.rank(value));
  }

  /** The nodes so far. */
  nodes(): readonly Node[] {
    return [...this.#nodes];
  }

  producer(value: ValueName): Node | undefined {
    const at = this.#producers.get(value);
    return at === undefined ? undefined : this.#nodes[at];
  }

  weight(value: ValueName): Weight | undefined {
    return this.#initializers.get(value) ?? this.#outer?.weight(value);
  }

  /** The numbers of a constant value of at most 4096 elements, integers or floats. */
  numbers(value: ValueName): readonly number[] | undefined {
    const weight = this.weight(value);
    if (weight !== undefined) return weightNumbers(weight);
    const values = this.facts(value)?.values;
    return values?.every((element): element is number => typeof element === 'number')
      ? (values as number[])
      : undefined;
  }

  isConstant(value: ValueName): boolean {
    return this.weight(value) !== undefined;
  }

  // --- changing what is there ----------------------------------------------------------------------------------

  /** Names the n-th output of the node that produces `value`, adding it when the node did not give it so far. */
  siblingOutput(value: ValueName, index: number): ValueName {
    const at = this.#producers.get(value)!;
    const node = this.#nodes[at]!;
    const existing = node.outputs[index];
    if (existing !== undefined && existing !== '') return existing;
    const outputs = [...node.outputs];
    while (outputs.length <= index) outputs.push('');
    const name = this.unusedName(`${value}/${index}`);
    outputs[index] = name;
    const changed = { ...node, outputs };
    this.#nodes[at] = changed;
    this.#take(name);
    this.#producers.set(name, at);
    const inferred = this.#infer(changed);
    if (inferred[index] !== undefined) this.#facts.set(name, nameUnknownDims(inferred[index], name));
    return name;
  }

  /** Puts a changed node, with further outputs, in the place of the one that produces `value`. */
  replaceProducer(value: ValueName, changed: Node): void {
    const at = this.#producers.get(value)!;
    this.#nodes[at] = changed;
    const inferred = this.#infer(changed);
    changed.outputs.forEach((name, index) => {
      if (name === '') return;
      this.#take(name);
      this.#producers.set(name, at);
      const known = inferred[index];
      if (known !== undefined && !this.#facts.has(name)) this.#facts.set(name, nameUnknownDims(known, name));
    });
  }

  addInput(info: ValueInfo): ValueName {
    this.#inputs.push(info);
    this.#facts.set(info.name, info);
    this.#take(info.name);
    return info.name;
  }

  /** Makes a value an output of the graph under `name`. */
  addOutput(value: ValueName, name: string): void {
    const output = value === name ? value : this.rename(value, name);
    this.#outputs.push({ name, type: this.type(output), dims: this.dims(output) });
  }

  setOutputs(outputs: readonly ValueInfo[]): void {
    this.#outputs = [...outputs];
  }

  rename(value: ValueName, name: string): ValueName {
    this.push({
      name: this.unusedName(`${this.#scope}/${name}`),
      operator: 'Identity',
      domain: '',
      inputs: [value],
      outputs: [name],
      attributes: {},
    });
    return name;
  }

  /** A model of the same operator sets with nothing in it. */
  protected emptyModel(): Model {
    return { ...this.#model, functions: [], metadata: new Map() };
  }

  /** The new model. Weights are shared with the one it came from. */
  build(): Model {
    const told = Array.from(
      this.#told,
      (name) => [name, { name, type: this.type(name), dims: this.dims(name) }] as const,
    );
    const graph: Graph = {
      ...this.#model.graph,
      valueInfos: new Map([...this.#model.graph.valueInfos, ...told]),
      inputs: this.#inputs,
      outputs: this.#outputs,
      nodes: this.#nodes,
      initializers: this.#initializers,
    };
    const opsets = new Map([...Array.from(this.#domains, (domain) => [domain, 1] as const), ...this.#model.opsets]);
    return { ...this.#model, opsets, irVersion: Math.max(this.#model.irVersion, 8), graph };
  }

  // --- constants -----------------------------------------------------------------------------------------------

  /** A constant tensor; equal ones are made once. */
  constant(type: DataType, dims: readonly number[], values: readonly number[]): ValueName {
    const key = `${type}[${dims.join()}]:${values.map((value) => (Object.is(value, -0) ? '-0' : value)).join()}`;
    const made = this.#constants.get(key);
    if (made !== undefined) return made;
    const name = this.addWeight(numbersWeight(type, dims, values));
    this.#constants.set(key, name);
    return name;
  }

  addWeight(weight: Weight): ValueName {
    const name = this.unusedName(`${this.#outer === undefined ? 'onnxray' : this.#scope}/constant`);
    this.#initializers.set(name, weight);
    this.#facts.set(name, weightFacts(weight));
    this.#take(name);
    return name;
  }

  /** A small constant as the value of an attribute. */
  weightOf = (type: DataType, dims: readonly number[], values: readonly number[]): Weight =>
    numbersWeight(type, dims, values);

  int64s(values: readonly number[]): ValueName {
    return this.constant('int64', [values.length], values);
  }

  /** A scalar of the same type as `like`. */
  scalar(value: number, like: ValueName): ValueName {
    return this.constant(this.type(like), [], [value]);
  }
}

/** Two emitted nodes with equal keys compute the same; undefined for attributes we do not compare. */
function emissionKey(
  operator: EmittedOperator,
  inputs: readonly ValueName[],
  attributes: Readonly<Record<string, Attribute | undefined>>,
  outputs = 1,
): string | undefined {
  const parts: string[] = [];
  for (const name of Object.keys(attributes).sort()) {
    const attribute = attributes[name];
    if (attribute === undefined) continue;
    if (attribute.kind === 'graph' || attribute.kind === 'opaque') return undefined;
    const value =
      attribute.kind === 'tensor' ? [attribute.value.type, weightNumbers(attribute.value, 1)] : attribute.value;
    parts.push(JSON.stringify([name, value]));
  }
  return JSON.stringify([operator, outputs, inputs, parts]);
}

/** A rule met a value whose rank nothing tells. */
export class UnknownRankError extends UserError {
  readonly value: ValueName;
  constructor(value: ValueName) {
    super(`the rank of "${value}" is unknown: give the model's inputs fixed dims, or run shape inference on the model`);
    this.value = value;
  }
}
