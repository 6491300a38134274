import { isStatic } from './dims.ts';
import type { Attribute, Graph, ValueName } from './model.ts';
import { int, ints, string } from './model.ts';
import { NodeBuilder } from './node-builder.ts';
import { pruneModel } from './prune.ts';
import { TYPE_NUMBERS } from './read.ts';
import type { DataType, Dim, ValueInfo } from './tensor.ts';
import { numbersWeight } from './weight.ts';

/**
 * Appends operators to a model. It starts from a model, never changes it, and `build()` gives a new one that shares its
 * weights. The typed helpers emit the only operators our passes use; each of those has a gradient rule.
 */
export class GraphBuilder extends NodeBuilder {
  /**
   * A subgraph for a control flow node: `build` appends its nodes, which may read values of this graph, and says its
   * outputs. `base` gives weights and value infos to start with, and the nodes when `copy` is set.
   */
  subgraph(inputs: readonly ValueInfo[], build: (inner: GraphBuilder) => readonly ValueName[], base?: Graph): Graph {
    const graph: Graph = {
      name: base?.name ?? this.unusedName('onnxray/body'),
      inputs,
      outputs: [],
      nodes: [],
      initializers: base?.initializers ?? new Map(),
      valueInfos: base?.valueInfos ?? new Map(),
      otherTypes: base?.otherTypes ?? new Map(),
    };
    const scope = this.unusedName('onnxray/body');
    const inner = new GraphBuilder({ ...this.emptyModel(), graph }, { outer: this, scope });
    const own = new Set<ValueName>();
    const outputs = build(inner).map((value) => {
      // An output has to be made in the subgraph itself, and only once.
      const made = inner.producer(value) !== undefined && !own.has(value) ? value : inner.op('Identity', [value]);
      const name = own.has(made) ? inner.rename(made, inner.unusedName(`${scope}/copy`)) : made;
      own.add(name);
      return { name, type: inner.type(name), dims: inner.dims(name)?.map(publicDim) };
    });
    inner.setOutputs(outputs);
    return pruneModel(inner.build()).graph;
  }

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
      : this.op('Cast', [x], { to: int(TYPE_NUMBERS[type]) });
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

  /**
   * The shape of `x`, its unknown lengths read off `other` where that has them under the same names: reading them off `x`
   * would keep it in memory until then.
   */
  shapeBeside(x: ValueName, other: ValueName): ValueName {
    const [dims, beside] = [this.dims(x), this.dims(other)];
    const parts = dims?.map((dim) => {
      if (typeof dim === 'number') return this.int64s([dim]);
      const axis = dim === undefined ? -1 : (beside?.indexOf(dim) ?? -1);
      return axis < 0 ? undefined : this.dimension(other, axis);
    });
    const known = parts?.every((part) => part !== undefined) === true && !isStatic(dims);
    return known ? this.concat(parts as ValueName[], 0) : this.shape(x);
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
    const shape = from && to && reshapeTarget(from, to);
    return shape === undefined
      ? this.reshape(x, this.shape(like), to)
      : this.op('Reshape', [x, this.int64s(shape)], {}, { dims: to });
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

  /**
   * Pads with zeros; `pads` is the int64 vector of all begins, then all ends, over all axes. The axes are named although
   * they are all: onnxruntime 1.30 fuses a Pad without them into a convolution even when it pads the kernel, and breaks.
   */
  pad(x: ValueName, pads: ValueName, dims?: readonly Dim[]): ValueName {
    const axes = this.int64s(Array.from({ length: this.rank(x) }, (_, axis) => axis));
    return this.op('Pad', [x, pads, '', axes], { mode: string('constant') }, { dims });
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
  /** Zeros in the shape of `shaped` and of the type of `typed`, which may stand for it in telling unknown lengths. */
  zerosOf(shaped: ValueName, typed: ValueName): ValueName {
    const value = { kind: 'tensor', value: this.weightOf(this.type(typed), [1], [0]) } as const;
    return this.op('ConstantOfShape', [this.shapeBeside(shaped, typed)], { value }, { dims: this.dims(shaped) });
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
    return this.#wide(data, updates, (into, added) =>
      this.op('ScatterND', [into, indices, added], { reduction: string('add') }),
    );
  }

  /** data[.., indices[i], ..] += updates[.., i, ..] along an axis. */
  scatterAddElements(data: ValueName, indices: ValueName, updates: ValueName, axis: number): ValueName {
    return this.#wide(data, updates, (into, added) =>
      this.op('ScatterElements', [into, indices, added], { axis: int(axis), reduction: string('add') }),
    );
  }

  /** In float32 where the values are halves: onnxruntime adds no halves when it scatters, and they would round each time. */
  #wide(data: ValueName, updates: ValueName, add: (data: ValueName, updates: ValueName) => ValueName): ValueName {
    const type = this.type(data);
    if (type !== 'float16' && type !== 'bfloat16') return add(data, updates);
    return this.cast(add(this.cast(data, 'float32'), this.cast(updates, 'float32')), type);
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

/** Names of our own for unknown dims mean nothing to whoever reads a declaration. */
const publicDim = (dim: Dim): Dim => (typeof dim === 'string' && /[?(]/.test(dim) ? undefined : dim);

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

/**
 * The shape input that takes a value of dims `from` to dims `to` without computing anything at run time: 0 keeps an axis,
 * one axis may be -1. Besides the nodes it saves, onnxruntime knows more shapes this way. undefined when that can't be said.
 */
function reshapeTarget(from: readonly Dim[], to: readonly Dim[]): number[] | undefined {
  const shape = to.map((dim, axis) =>
    typeof dim === 'number' ? dim : from[axis] === dim && dim !== undefined ? 0 : -1,
  );
  const unknown = shape.filter((dim) => dim === -1).length;
  return unknown <= 1 && !to.includes(0) ? shape : undefined;
}
