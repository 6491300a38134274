import { positiveAxis } from './dims.ts';
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
  #inputs: ValueInfo[];
  #outputs: ValueInfo[];
  #counter = 0;

  constructor(model: Model) {
    const { graph } = model;
    this.#model = model;
    this.opset = opsetOf(model);
    this.#nodes = [];
    this.#inputs = [...graph.inputs];
    this.#outputs = [...graph.outputs];
    this.#initializers = new Map(graph.initializers);
    this.#facts = givenFacts(graph);
    this.#taken = new Set(this.#facts.keys());
    for (const node of graph.nodes) for (const output of node.outputs) this.#taken.add(output);
    for (const node of graph.nodes) this.push(node);
  }

  /** Appends a node as it is. */
  push(node: Node, dims?: readonly Dim[]): void {
    const inferred = inferNode(node, (name) => this.#facts.get(name), { initializers: this.#initializers }, this.opset);
    node.outputs.forEach((name, index) => {
      if (name === '') return;
      this.#producers.set(name, this.#nodes.length);
      this.#taken.add(name);
      let known = mergeFacts(inferred[index], this.#model.graph.valueInfos.get(name));
      if (index === 0 && dims !== undefined) this.#told.add(name);
      if (index === 0 && dims !== undefined) known = mergeFacts(known, { type: known?.type ?? 'float32', dims });
      if (known !== undefined) this.#facts.set(name, nameUnknownDims(known, name));
    });
    this.#nodes.push(node);
  }

  /** Appends an operator of ai.onnx and names its outputs. Equal nodes are made once. */
  emit(
    operator: EmittedOperator,
    inputs: readonly ValueName[],
    attributes: Readonly<Record<string, Attribute | undefined>> = {},
    options: NodeOptions = {},
  ): ValueName[] {
    const key = emissionKey(operator, inputs, attributes, options.outputs);
    const made = key === undefined ? undefined : this.#made.get(key);
    if (made !== undefined) return made;
    const name = this.unusedName(`onnxray/${operator}`);
    const count = options.outputs ?? 1;
    const outputs = Array.from({ length: count }, (_, index) => (count === 1 ? `${name}:0` : `${name}:${index}`));
    let end = inputs.length;
    while (end > 0 && inputs[end - 1] === '') end--;
    const kept = Object.entries(attributes).filter((entry): entry is [string, Attribute] => entry[1] !== undefined);
    this.push(
      { name, operator, domain: '', inputs: inputs.slice(0, end), outputs, attributes: Object.fromEntries(kept) },
      options.dims,
    );
    if (key !== undefined) this.#made.set(key, outputs);
    return outputs;
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
    while (this.#taken.has(name) || this.#taken.has(`${name}:0`));
    return name;
  }

  isTaken(name: string): boolean {
    return this.#taken.has(name);
  }

  // --- what is known -------------------------------------------------------------------------------------------

  facts(value: ValueName): Facts | undefined {
    return this.#facts.get(value);
  }

  type(value: ValueName): DataType {
    return this.#facts.get(value)?.type ?? 'float32';
  }

  dims(value: ValueName): readonly Dim[] | undefined {
    return this.#facts.get(value)?.dims;
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
    return this.#initializers.get(value);
  }

  /** The numbers of a constant value of at most 4096 elements, integers or floats. */
  numbers(value: ValueName): readonly number[] | undefined {
    const weight = this.#initializers.get(value);
    if (weight !== undefined) return weightNumbers(weight);
    const values = this.#facts.get(value)?.values;
    return values?.every((element): element is number => typeof element === 'number')
      ? (values as number[])
      : undefined;
  }

  isConstant(value: ValueName): boolean {
    return this.#initializers.has(value);
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
    this.#taken.add(name);
    this.#producers.set(name, at);
    const inferred = inferNode(
      changed,
      (input) => this.#facts.get(input),
      { initializers: this.#initializers },
      this.opset,
    );
    if (inferred[index] !== undefined) this.#facts.set(name, nameUnknownDims(inferred[index], name));
    return name;
  }

  addInput(info: ValueInfo): ValueName {
    this.#inputs.push(info);
    this.#facts.set(info.name, info);
    this.#taken.add(info.name);
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
      name: this.unusedName(`onnxray/${name}`),
      operator: 'Identity',
      domain: '',
      inputs: [value],
      outputs: [name],
      attributes: {},
    });
    return name;
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
    return { ...this.#model, irVersion: Math.max(this.#model.irVersion, 8), graph };
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
    const name = this.unusedName('onnxray/constant');
    this.#initializers.set(name, weight);
    this.#facts.set(name, weightFacts(weight));
    this.#taken.add(name);
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
export class UnknownRankError extends Error {
  readonly value: ValueName;
  constructor(value: ValueName) {
    super(`the rank of "${value}" is unknown`);
    this.value = value;
  }
}
