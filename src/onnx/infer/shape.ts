/** Operators that move, cut and join elements, and those that compute shapes. */
import { addDims, broadcastDims, divideProducts, isStatic, multiplyDims, positiveAxis, subtractDims } from '../dims.ts';
import { MAX_SHAPE_VALUES, weightFacts } from '../facts.ts';
import { intAttribute, intsAttribute, stringAttribute } from '../model.ts';
import type { Dim } from '../tensor.ts';
import { likeInput } from './random.ts';
import type { InferenceInput, InferenceRule } from './rule.ts';

const unknownDims = (count: Dim): Dim[] | undefined =>
  typeof count === 'number' && count <= MAX_SHAPE_VALUES ? Array<Dim>(count).fill(undefined) : undefined;

/** The shape an input describes, or as many unknowns as it has elements. */
function shapeFrom(input: InferenceInput, index: number): readonly Dim[] | undefined {
  return input.values(index) ?? unknownDims(input.dims(index)?.[0]);
}

const reshape: InferenceRule = (input) => {
  const [from, target] = [input.dims(0), shapeFrom(input, 1)];
  if (target === undefined) return [{ type: input.type(0), dims: undefined }];
  const keepZeros = intAttribute(input.node, 'allowzero', 0) === 1;
  const dims = target.map((dim, axis) => (dim === 0 && !keepZeros ? from?.[axis] : dim));
  const free = dims.indexOf(-1);
  if (free >= 0)
    dims[free] =
      from === undefined
        ? undefined
        : divideProducts(
            from,
            dims.filter((_, axis) => axis !== free),
          );
  return [{ type: input.type(0), dims, values: input.values(0) }];
};

const squeeze: InferenceRule = (input) => {
  const [dims, axes] = [input.dims(0), input.numbers(1)];
  const given = input.node.inputs[1] !== undefined && input.node.inputs[1] !== '';
  if (dims === undefined || (given && axes === undefined))
    return [{ type: input.type(0), dims: undefined, values: input.values(0) }];
  // Whether a length that has only a name is 1 is not known, and so neither is the rank.
  if (!given && !isStatic(dims)) return [{ type: input.type(0), dims: undefined }];
  const dropped = axes?.map((axis) => positiveAxis(axis, dims.length));
  const kept = dims.filter((dim, axis) => (dropped ? !dropped.includes(axis) : dim !== 1));
  return [{ type: input.type(0), dims: kept, values: input.values(0) }];
};

const unsqueeze: InferenceRule = (input) => {
  const [dims, axes] = [input.dims(0), input.numbers(1)];
  if (dims === undefined || axes === undefined) return [{ type: input.type(0), dims: undefined }];
  const rank = dims.length + axes.length;
  const added = new Set(axes.map((axis) => positiveAxis(axis, rank)));
  const rest = [...dims];
  const result = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()));
  return [{ type: input.type(0), dims: result, values: input.values(0) }];
};

const flatten: InferenceRule = (input) => {
  const dims = input.dims(0);
  if (dims === undefined) return [{ type: input.type(0), dims: [undefined, undefined] }];
  const axis = positiveAxis(intAttribute(input.node, 'axis', 1), dims.length);
  const product = (list: readonly Dim[]) => list.reduce<Dim>((left, right) => multiplyDims(left, right), 1);
  return [{ type: input.type(0), dims: [product(dims.slice(0, axis)), product(dims.slice(axis))] }];
};

const transpose: InferenceRule = (input) => {
  const dims = input.dims(0);
  const perm = intsAttribute(input.node, 'perm') ?? dims?.map((_, axis) => dims.length - 1 - axis);
  const values = input.values(0);
  // Paddings come as a matrix that is turned round.
  const turned = values && isStatic(dims) && perm ? transposeValues(values, dims, perm) : undefined;
  return [{ type: input.type(0), dims: perm?.map((axis) => dims?.[axis]), values: turned }];
};

/** Elements of a small tensor, row by row, with its axes in another order. */
function transposeValues(values: readonly Dim[], dims: readonly number[], perm: readonly number[]): Dim[] {
  const steps = dims.map((_, axis) => dims.slice(axis + 1).reduce((left, right) => left * right, 1));
  return values.map((_, index) => {
    let [rest, from] = [index, 0];
    for (const axis of perm.toReversed()) {
      from += (rest % dims[axis]!) * steps[axis]!;
      rest = Math.floor(rest / dims[axis]!);
    }
    return values[from];
  });
}

const expand: InferenceRule = (input) => {
  const [dims, target] = [input.dims(0), shapeFrom(input, 1)];
  return [{ type: input.type(0), dims: dims && target ? broadcastDims([dims, target]) : undefined }];
};

const tile: InferenceRule = (input) => {
  const [dims, repeats] = [input.dims(0), input.values(1)];
  return [{ type: input.type(0), dims: dims?.map((dim, axis) => multiplyDims(dim, repeats?.[axis])) }];
};

const concat: InferenceRule = (input) => {
  const count = input.node.inputs.length;
  const shapes = Array.from({ length: count }, (_, index) => input.dims(index));
  const lists = Array.from({ length: count }, (_, index) => input.values(index) ?? unknownDims(input.dims(index)?.[0]));
  const values = lists.every((list) => list !== undefined) ? lists.flat() : undefined;
  const known = shapes.find((dims) => dims !== undefined);
  if (known === undefined) return [{ type: input.type(0), dims: undefined }];
  const axis = positiveAxis(intAttribute(input.node, 'axis', 0), known.length);
  const dims = known.map((_, at) => {
    const along = shapes.map((shape) => shape?.[at]);
    if (at === axis) return along.reduce((left, right) => addDims(left, right));
    return along.find((dim) => typeof dim === 'number') ?? along.find((dim) => dim !== undefined);
  });
  const isShape =
    input.type(0) === 'int64' && known.length === 1 && values !== undefined && values.length <= MAX_SHAPE_VALUES;
  return [{ type: input.type(0), dims, values: isShape ? values : undefined }];
};

const split: InferenceRule = (input) => {
  const dims = input.dims(0);
  const { outputs } = input.node;
  if (dims === undefined) return outputs.map(() => ({ type: input.type(0), dims: undefined }));
  const axis = positiveAxis(intAttribute(input.node, 'axis', 0), dims.length);
  const length = dims[axis];
  const sizes = input.values(1) ?? evenSizes(length, outputs.length);
  const elements = dims.length === 1 ? input.values(0) : undefined;
  let at = 0;
  return outputs.map((_, index) => {
    const size = input.node.inputs[1] ? input.values(1)?.[index] : sizes[index];
    const values = elements && typeof size === 'number' ? elements.slice(at, (at += size)) : undefined;
    return { type: input.type(0), dims: dims.map((dim, other) => (other === axis ? size : dim)), values };
  });
};

function evenSizes(length: Dim, parts: number): Dim[] {
  if (typeof length !== 'number') return Array<Dim>(parts).fill(undefined);
  const size = Math.ceil(length / parts);
  return Array.from({ length: parts }, (_, index) => (index < parts - 1 ? size : length - size * (parts - 1)));
}

const slice: InferenceRule = (input) => {
  const dims = input.dims(0);
  const [starts, ends] = [input.values(1), input.values(2)];
  if (dims === undefined) return [{ type: input.type(0), dims: undefined }];
  const axes = input.node.inputs[3] ? input.numbers(3) : starts?.map((_, index) => index);
  const steps = input.node.inputs[4] ? input.numbers(4) : starts?.map(() => 1);
  if (!axes || !steps) return [{ type: input.type(0), dims: dims.map(() => undefined) }];
  const result = [...dims];
  let values = isStatic(dims) ? input.values(0) : undefined;
  axes.forEach((negative, index) => {
    const axis = positiveAxis(negative, dims.length);
    const step = steps[index] ?? 1;
    const [start, end] = [starts?.[index], ends?.[index]];
    const length = sliceLength(dims[axis], start, end, step);
    if (values && typeof start === 'number' && typeof end === 'number')
      values = sliceValues(values, result, axis, sliceIndices(dims[axis] as number, start, end, step));
    else values = undefined;
    result[axis] = length;
  });
  return [{ type: input.type(0), dims: result, values }];
};

/** The elements at some positions of an axis; `dims` as they are before. */
function sliceValues(values: readonly Dim[], dims: readonly Dim[], axis: number, kept: readonly number[]): Dim[] {
  const size = (list: readonly Dim[]) => list.reduce<number>((left, right) => left * Number(right), 1);
  const [inner, length] = [size(dims.slice(axis + 1)), Number(dims[axis])];
  return Array.from({ length: size(dims.slice(0, axis)) }, (_, outer) =>
    kept.flatMap((at) => values.slice((outer * length + at) * inner, (outer * length + at + 1) * inner)),
  ).flat();
}

function clampRange(length: number, start: number, end: number, step: number): [number, number] {
  const from = start < 0 ? start + length : start;
  const to = end < 0 ? end + length : end;
  const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  return step > 0
    ? [clamp(from, 0, length), clamp(to, 0, length)]
    : [clamp(from, 0, length - 1), clamp(to, -1, length - 1)];
}

function sliceCount(length: number, start: number, end: number, step: number): number {
  const [from, to] = clampRange(length, start, end, step);
  return Math.max(0, Math.ceil((to - from) / step));
}

/** The positions read along an axis that is at most as long as a shape. */
function sliceIndices(length: number, start: number, end: number, step: number): number[] {
  const [from] = clampRange(length, start, end, step);
  return Array.from({ length: sliceCount(length, start, end, step) }, (_, index) => from + index * step);
}

function sliceLength(length: Dim, start: Dim, end: Dim, step: number): Dim {
  if (typeof length === 'number' && typeof start === 'number' && typeof end === 'number')
    return sliceCount(length, start, end, step);
  if (typeof end === 'number' && end >= 2 ** 31 && start === 0 && step === 1) return length;
  if (start === -1 && step === 1 && typeof end === 'number' && end >= 2 ** 31) return 1;
  // Cut off where the axis ends. Of a table of more than one element that is an error wherever it matters.
  if (start === 0 && step === 1 && typeof end === 'string')
    return end === length || (typeof length === 'number' && length > 1) ? end : undefined;
  // A full reversal: the trick of flipping an axis with step -1 from the last to before the first.
  if (step === -1 && start === -1 && typeof end === 'number' && end <= -(2 ** 31)) return length;
  return undefined;
}

const gather: InferenceRule = (input) => {
  const [data, indices] = [input.dims(0), input.dims(1)];
  if (data === undefined || indices === undefined) return [{ type: input.type(0), dims: undefined }];
  const axis = positiveAxis(intAttribute(input.node, 'axis', 0), data.length);
  const picked = input.numbers(1);
  const elements = input.values(0);
  const places = picked?.map((at) => positiveAxis(at, Number(data[axis])));
  const values = elements && places && isStatic(data) ? sliceValues(elements, data, axis, places) : undefined;
  return [
    {
      type: input.type(0),
      dims: [...data.slice(0, axis), ...indices, ...data.slice(axis + 1)],
      values: values && values.length <= MAX_SHAPE_VALUES ? values : undefined,
    },
  ];
};

const gatherND: InferenceRule = (input) => {
  const [data, indices] = [input.dims(0), input.dims(1)];
  const depth = indices?.at(-1);
  if (data === undefined || indices === undefined || typeof depth !== 'number')
    return [{ type: input.type(0), dims: undefined }];
  const batch = intAttribute(input.node, 'batch_dims', 0);
  return [{ type: input.type(0), dims: [...indices.slice(0, -1), ...data.slice(batch + depth)] }];
};

const pad: InferenceRule = (input) => {
  const [dims, pads] = [input.dims(0), input.values(1)];
  if (dims === undefined) return [{ type: input.type(0), dims: undefined }];
  const axes = (input.node.inputs[3] ? input.numbers(3) : dims.map((_, axis) => axis))?.map((axis) =>
    positiveAxis(axis, dims.length),
  );
  if (axes === undefined) return [{ type: input.type(0), dims: dims.map(() => undefined) }];
  const result = [...dims];
  axes.forEach((axis, index) => {
    const [before, after] = pads ? [pads[index], pads[index + axes.length]] : [undefined, undefined];
    result[axis] = addDims(addDims(dims[axis], before), after);
  });
  return [{ type: input.type(0), dims: result }];
};

const shape: InferenceRule = (input) => {
  const dims = input.dims(0);
  if (dims === undefined) return [{ type: 'int64', dims: [undefined] }];
  const start = intAttribute(input.node, 'start', 0);
  const end = intAttribute(input.node, 'end', dims.length);
  const values = dims.slice(start, end);
  return [{ type: 'int64', dims: [values.length], values }];
};

const size: InferenceRule = (input) => {
  const product = input.dims(0)?.reduce<Dim>((left, right) => multiplyDims(left, right), 1);
  return [{ type: 'int64', dims: [], values: [product] }];
};

const constantOfShape: InferenceRule = (input) => {
  const value = input.node.attributes['value'];
  const facts = value?.kind === 'tensor' ? weightFacts(value.value) : undefined;
  const dims = shapeFrom(input, 0);
  const count = dims?.length === 1 ? dims[0] : undefined;
  const element = facts?.values?.[0];
  // A broken file may ask for a length below zero.
  const possible = typeof count === 'number' && Number.isInteger(count) && count >= 0 && count <= MAX_SHAPE_VALUES;
  const values = possible && element !== undefined ? Array<Dim>(count).fill(element) : undefined;
  return [{ type: facts?.type ?? 'float32', dims, values }];
};

const range: InferenceRule = (input) => {
  const [start, limit, delta] = [input.values(0)?.[0], input.values(1)?.[0], input.values(2)?.[0]];
  if (typeof start === 'number' && typeof limit === 'number' && typeof delta === 'number') {
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    const values =
      count <= MAX_SHAPE_VALUES ? Array.from({ length: count }, (_, index) => start + index * delta) : undefined;
    return [{ type: input.type(0), dims: [count], values }];
  }
  return [{ type: input.type(0), dims: [delta === 1 ? subtractDims(limit, start) : undefined] }];
};

const blocks =
  (shrink: boolean): InferenceRule =>
  (input) => {
    const dims = input.dims(0);
    const block = intAttribute(input.node, 'blocksize', 1);
    if (dims?.length !== 4) return [{ type: input.type(0), dims: undefined }];
    const [n, c, h, w] = dims;
    const grow = (dim: Dim, factor: number) => multiplyDims(dim, factor);
    const cut = (dim: Dim, factor: number) => (typeof dim === 'number' ? dim / factor : undefined);
    const result = shrink
      ? [n, grow(c, block * block), cut(h, block), cut(w, block)]
      : [n, cut(c, block * block), grow(h, block), grow(w, block)];
    return [{ type: input.type(0), dims: result }];
  };

/** Lengths by the one ratio of all axes, the smallest or the largest, in floats and rounded as the kernel does. */
function keptLengths(policy: string, axes: readonly number[], dims: readonly Dim[], sizes: readonly Dim[]) {
  const [from, to] = [axes.map((axis) => dims[axis]), sizes];
  if (!isStatic(from) || !isStatic(to)) return undefined;
  const ratios = from.map((length, index) => Math.fround(to[index]! / length));
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return from.map((length) => Math.round(Math.fround(scale * length)));
}

const resize: InferenceRule = (input) => {
  const dims = input.dims(0);
  if (dims === undefined) return [{ type: input.type(0), dims: undefined }];
  const sizes = input.node.inputs[3] ? input.values(3) : undefined;
  const axes =
    intsAttribute(input.node, 'axes')?.map((axis) => positiveAxis(axis, dims.length)) ?? dims.map((_, axis) => axis);
  const policy = stringAttribute(input.node, 'keep_aspect_ratio_policy', 'stretch');
  const kept = sizes && policy !== 'stretch' ? keptLengths(policy, axes, dims, sizes) : sizes;
  const result = [...dims];
  axes.forEach((axis, index) => {
    const scale = input.scales?.[index];
    const dim = dims[axis];
    if (sizes) result[axis] = kept?.[index];
    else if (scale === undefined) result[axis] = undefined;
    // As onnxruntime reckons, in float32: 10 * 0.7 is 7 there, and a little less in float64.
    else if (typeof dim === 'number') result[axis] = Math.floor(Math.fround(dim * Math.fround(scale)));
    else result[axis] = scale === 1 ? dim : Number.isInteger(scale) ? multiplyDims(dim, scale) : undefined;
  });
  return [{ type: input.type(0), dims: result }];
};

const topK: InferenceRule = (input) => {
  const dims = input.dims(0);
  const axis = dims && positiveAxis(intAttribute(input.node, 'axis', -1), dims.length);
  const result = dims?.map((dim, at) => (at === axis ? input.values(1)?.[0] : dim));
  return [
    { type: input.type(0), dims: result },
    { type: 'int64', dims: result },
  ];
};

const oneHot: InferenceRule = (input) => {
  const dims = input.dims(0);
  if (dims === undefined) return [{ type: input.type(2), dims: undefined }];
  const axis = positiveAxis(intAttribute(input.node, 'axis', -1), dims.length + 1);
  return [{ type: input.type(2), dims: [...dims.slice(0, axis), input.values(1)?.[0], ...dims.slice(axis)] }];
};

export const shaping: Readonly<Record<string, InferenceRule>> = {
  Reshape: reshape,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Flatten: flatten,
  Transpose: transpose,
  NonMaxSuppression: () => [{ type: 'int64', dims: [undefined, 3] }],
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherND: gatherND,
  Pad: pad,
  Shape: shape,
  Size: size,
  // Indices have the rank of the data.
  GatherElements: (input) => [{ type: input.type(0), dims: input.dims(1) ?? input.dims(0)?.map(() => undefined) }],
  ConstantOfShape: constantOfShape,
  Range: range,
  DepthToSpace: blocks(false),
  SpaceToDepth: blocks(true),
  Resize: resize,
  TopK: topK,
  OneHot: oneHot,
  NonZero: (input) => [{ type: 'int64', dims: [input.dims(0)?.length, undefined] }],
  EyeLike: likeInput,
  Unique: (input) => {
    const axis = intAttribute(input.node, 'axis');
    const dims = axis === undefined ? [undefined] : input.dims(0)?.map((dim, at) => (at === axis ? undefined : dim));
    const places = { type: 'int64', dims: [undefined] } as const;
    return [{ type: input.type(0), dims }, places, places, places];
  },
  Compress: (input) => [
    {
      type: input.type(0),
      dims: input.dims(0)?.map((dim, axis) => (axis === intAttribute(input.node, 'axis') ? undefined : dim)),
    },
  ],
};
