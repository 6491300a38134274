import { isStatic, positiveAxis } from './dims.ts';
import type { Facts } from './facts.ts';
import { givenFacts, nameUnknownDims, weightFacts } from './facts.ts';
import { inferNode, mergeFacts } from './infer/index.ts';
import type { Attribute, Graph, Model, Node, ValueName, Weight } from './model.ts';
import { int, ints, opsetOf, string } from './model.ts';
import type { EmittedOperator } from './operators.ts';
import { TYPE_BY_NUMBER } from './read.ts';
import type { DataType, Dim, ValueInfo } from './tensor.ts';
import { numbersWeight, weightNumbers } from './weight.ts';

const TYPE_NUMBERS = Object.fromEntries(Object.entries(TYPE_BY_NUMBER).map(([number, type]) => [type, Number(number)]));

export interface NodeOptions {
  /** How many outputs; 1 unless said. */
  readonly outputs?: number;
  /** What we know of the first output beyond what inference finds. */
  readonly dims?: readonly Dim[] | undefined;
}

/**
 * Appends nodes to a model and knows the type and shape of every value as it goes.
 * It starts from a model, never changes it, and `build()` gives a new one that shares its weights.
 * The typed helpers emit the only operators our passes use; each of those has a gradient rule.
 */
export class GraphBuilder {
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

  // --- one helper per operator ---------------------------------------------------------------------------------

  add = (a: ValueName, b: ValueName) => this.op('Add', [a, b]);
  sub = (a: ValueName, b: ValueName) => this.op('Sub', [a, b]);
  mul = (a: ValueName, b: ValueName) => this.op('Mul', [a, b]);
  div = (a: ValueName, b: ValueName) => this.op('Div', [a, b]);
  pow = (a: ValueName, b: ValueName) => this.op('Pow', [a, b]);
  neg = (x: ValueName) => this.op('Neg', [x]);
  abs = (x: ValueName) => this.op('Abs', [x]);
  sign = (x: ValueName) => this.op('Sign', [x]);
  exp = (x: ValueName) => this.op('Exp', [x]);
  log = (x: ValueName) => this.op('Log', [x]);
  sqrt = (x: ValueName) => this.op('Sqrt', [x]);
  reciprocal = (x: ValueName) => this.op('Reciprocal', [x]);
  sigmoid = (x: ValueName) => this.op('Sigmoid', [x]);
  tanh = (x: ValueName) => this.op('Tanh', [x]);
  sin = (x: ValueName) => this.op('Sin', [x]);
  cos = (x: ValueName) => this.op('Cos', [x]);
  sinh = (x: ValueName) => this.op('Sinh', [x]);
  cosh = (x: ValueName) => this.op('Cosh', [x]);
  erf = (x: ValueName) => this.op('Erf', [x]);
  square = (x: ValueName) => this.op('Mul', [x, x]);

  equal = (a: ValueName, b: ValueName) => this.op('Equal', [a, b]);
  less = (a: ValueName, b: ValueName) => this.op('Less', [a, b]);
  greater = (a: ValueName, b: ValueName) => this.op('Greater', [a, b]);
  greaterOrEqual = (a: ValueName, b: ValueName) => this.op('GreaterOrEqual', [a, b]);
  lessOrEqual = (a: ValueName, b: ValueName) => this.op('LessOrEqual', [a, b]);
  and = (a: ValueName, b: ValueName) => this.op('And', [a, b]);
  not = (x: ValueName) => this.op('Not', [x]);
  where = (condition: ValueName, yes: ValueName, no: ValueName) => this.op('Where', [condition, yes, no]);

  matmul = (a: ValueName, b: ValueName) => this.op('MatMul', [a, b]);

  cast(x: ValueName, type: DataType): ValueName {
    return this.type(x) === type && this.facts(x) !== undefined
      ? x
      : this.op('Cast', [x], { to: int(TYPE_NUMBERS[type]!) });
  }

  transpose(x: ValueName, perm: readonly number[]): ValueName {
    return perm.every((axis, index) => axis === index) ? x : this.op('Transpose', [x], { perm: ints(perm) });
  }

  /** Swaps the last two axes. */
  matrixTranspose(x: ValueName): ValueName {
    const rank = this.rank(x);
    const perm = Array.from({ length: rank }, (_, axis) => axis);
    [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
    return this.transpose(x, perm);
  }

  /** The shape of a value as an int64 vector: a constant when every dimension is a number. */
  shape(x: ValueName): ValueName {
    const dims = this.dims(x);
    return isStatic(dims) ? this.int64s(dims) : this.op('Shape', [x]);
  }

  /** One dimension as an int64 vector of one element. */
  dimension(x: ValueName, axis: number): ValueName {
    const dim = this.dims(x)?.[axis];
    if (typeof dim === 'number') return this.int64s([dim]);
    return this.op('Shape', [x], { start: int(axis), end: axis + 1 === this.rank(x) ? undefined : int(axis + 1) });
  }

  reshape(x: ValueName, shape: ValueName, dims?: readonly Dim[]): ValueName {
    // allowzero: a shape vector computed from a value's own shape means its zeros.
    return this.op(
      'Reshape',
      [x, shape],
      { allowzero: this.numbers(shape)?.includes(-1) ? undefined : int(1) },
      { dims },
    );
  }

  /** Reshapes to known dims; one may be -1. */
  reshapeTo(x: ValueName, dims: readonly number[]): ValueName {
    return this.op('Reshape', [x, this.int64s(dims)]);
  }

  /** The elements of `x` in the shape of `like`. */
  reshapeLike(x: ValueName, like: ValueName): ValueName {
    const [from, to] = [this.dims(x), this.dims(like)];
    if (from && to && from.length === to.length && from.every((dim, axis) => dim !== undefined && dim === to[axis]))
      return x;
    return this.reshape(x, this.shape(like), to);
  }

  /** Broadcasts `x` to the shape of `like`. */
  expandLike(x: ValueName, like: ValueName): ValueName {
    return this.op('Expand', [x, this.shape(like)], {}, { dims: this.dims(like) });
  }

  /** 0, 1, 2, ... along an axis of a value, as an int64 vector. */
  positions(x: ValueName, axis: number): ValueName {
    const length = this.dims(x)?.[axis];
    if (typeof length === 'number' && length <= 64) return this.int64s(Array.from({ length }, (_, at) => at));
    const [zero, one] = [this.constant('int64', [], [0]), this.constant('int64', [], [1])];
    return this.op('Range', [zero, this.squeeze(this.dimension(x, axis), [0]), one], {}, { dims: [length] });
  }

  squeeze = (x: ValueName, axes: readonly number[]) => this.op('Squeeze', [x, this.int64s(axes)]);
  unsqueeze = (x: ValueName, axes: readonly number[]) =>
    axes.length === 0 ? x : this.op('Unsqueeze', [x, this.int64s(axes)]);
  concat = (values: readonly ValueName[], axis: number) =>
    values.length === 1 ? values[0]! : this.op('Concat', values, { axis: int(axis) });

  gather = (data: ValueName, indices: ValueName, axis: number) =>
    this.op('Gather', [data, indices], { axis: int(axis) });

  slice(
    x: ValueName,
    starts: ValueName,
    ends: ValueName,
    axes: readonly number[],
    steps?: readonly number[],
    dims?: readonly Dim[],
  ): ValueName {
    return this.op('Slice', [x, starts, ends, this.int64s(axes), steps ? this.int64s(steps) : ''], {}, { dims });
  }

  /** Pads with zeros; `pads` is the int64 vector of all begins, then all ends, over all axes. */
  pad(x: ValueName, pads: ValueName, dims?: readonly Dim[]): ValueName {
    return this.op('Pad', [x, pads], { mode: string('constant') }, { dims });
  }

  /** A tensor of one value in the shape of `like`. */
  fillLike(like: ValueName, value: number): ValueName {
    const weight = numbersWeight(this.type(like), [1], [value]);
    return this.op(
      'ConstantOfShape',
      [this.shape(like)],
      { value: { kind: 'tensor', value: weight } },
      { dims: this.dims(like) },
    );
  }

  zerosLike = (like: ValueName) => this.fillLike(like, 0);
  /** Zeros in the shape of `shaped` and of the type of `typed`. */
  zerosOf(shaped: ValueName, typed: ValueName): ValueName {
    const value = { kind: 'tensor', value: this.weightOf(this.type(typed), [1], [0]) } as const;
    return this.op('ConstantOfShape', [this.shape(shaped)], { value }, { dims: this.dims(shaped) });
  }

  onesLike = (like: ValueName) => this.fillLike(like, 1);

  sum(x: ValueName, axes: readonly number[], keepdims = true): ValueName {
    return axes.length === 0 ? x : this.op('ReduceSum', [x, this.int64s(axes)], { keepdims: int(keepdims ? 1 : 0) });
  }

  mean(x: ValueName, axes: readonly number[], keepdims = true): ValueName {
    return this.op('ReduceMean', [x, this.int64s(axes)], { keepdims: int(keepdims ? 1 : 0) });
  }

  max(x: ValueName, axes: readonly number[], keepdims = true): ValueName {
    return this.op('ReduceMax', [x, this.int64s(axes)], { keepdims: int(keepdims ? 1 : 0) });
  }

  /** Number of elements along axes, as a scalar of the same type as `like`. */
  count(x: ValueName, axes: readonly number[], like: ValueName): ValueName {
    const dims: readonly Dim[] = axes.map((axis) => this.dims(x)?.[axis]);
    if (isStatic(dims))
      return this.scalar(
        dims.reduce((left, right) => left * right, 1),
        like,
      );
    const lengths = this.gather(this.shape(x), this.int64s(axes), 0);
    return this.cast(this.op('ReduceProd', [lengths], { keepdims: int(0) }), this.type(like));
  }

  softmax = (x: ValueName, axis: number) => this.op('Softmax', [x], { axis: int(axis) });

  /** data[indices] += updates, indices of depth 1 along axis 0. */
  scatterAdd(data: ValueName, indices: ValueName, updates: ValueName): ValueName {
    return this.op('ScatterND', [data, indices, updates], { reduction: string('add') });
  }

  conv = (x: ValueName, w: ValueName, attributes: ConvAttributes, dims?: readonly Dim[]) =>
    this.op('Conv', [x, w], convAttributes(attributes), { dims });

  convTranspose = (
    x: ValueName,
    w: ValueName,
    attributes: ConvAttributes & { outputPadding?: readonly number[] },
    dims?: readonly Dim[],
  ) =>
    this.op(
      'ConvTranspose',
      [x, w],
      { ...convAttributes(attributes), output_padding: attributes.outputPadding && ints(attributes.outputPadding) },
      { dims },
    );
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

export interface ConvAttributes {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** All begins, then all ends. */
  readonly pads: readonly number[];
  readonly group: number;
}

function convAttributes({ strides, dilations, pads, group }: ConvAttributes): Readonly<Record<string, Attribute>> {
  return { strides: ints(strides), dilations: ints(dilations), pads: ints(pads), group: int(group) };
}

/** A rule met a value whose rank nothing tells. */
export class UnknownRankError extends Error {
  readonly value: ValueName;
  constructor(value: ValueName) {
    super(`the rank of "${value}" is unknown`);
    this.value = value;
  }
}
