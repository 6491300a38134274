/** Products, convolutions, pooling, reductions and normalisations. */
import { broadcastDims, isStatic, positiveAxis } from '../dims.ts';
import { intAttribute, intsAttribute, stringAttribute } from '../model.ts';
import type { Dim } from '../tensor.ts';
import type { InferenceInput, InferenceRule } from './rule.ts';

export function matmulDims(a: readonly Dim[] | undefined, b: readonly Dim[] | undefined): Dim[] | undefined {
  if (a === undefined || b === undefined) return undefined;
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  const batch = broadcastDims([left.slice(0, -2), right.slice(0, -2)]);
  return [...batch, ...(a.length === 1 ? [] : [left.at(-2)]), ...(b.length === 1 ? [] : [right.at(-1)])];
}

const matmul: InferenceRule = (input) => [{ type: input.type(0), dims: matmulDims(input.dims(0), input.dims(1)) }];

const gemm: InferenceRule = (input) => {
  const [a, b] = [input.dims(0), input.dims(1)];
  const rows = a?.[intAttribute(input.node, 'transA', 0)];
  const columns = b?.[1 - intAttribute(input.node, 'transB', 0)];
  return [{ type: input.type(0), dims: [rows, columns] }];
};

/** Output length of a sliding window, ONNX's formula. */
export function windowLength(
  size: Dim,
  kernel: number,
  stride: number,
  dilation: number,
  pads: number,
  ceil: boolean,
  begin = 0,
): Dim {
  if (typeof size !== 'number') return stride === 1 && pads === dilation * (kernel - 1) ? size : undefined;
  const span = size + pads - (dilation * (kernel - 1) + 1);
  // Towards zero, as onnxruntime divides: where a stride is wider than what a window lacks, it is cut off at the end.
  if (!ceil) return Math.trunc(span / stride) + 1;
  const count = Math.ceil(span / stride) + 1;
  // A last window that would start in the padding behind the input is left out.
  return (count - 1) * stride >= size + begin ? count - 1 : count;
}

/** Spatial lengths after a window slides over an input; kernels come from an attribute or the weight. */
function windows(input: InferenceInput, spatial: readonly Dim[], kernel: readonly number[]): Dim[] {
  const rank = spatial.length;
  const strides = intsAttribute(input.node, 'strides') ?? Array<number>(rank).fill(1);
  const dilations = intsAttribute(input.node, 'dilations') ?? Array<number>(rank).fill(1);
  const pads = intsAttribute(input.node, 'pads') ?? Array<number>(2 * rank).fill(0);
  const auto = stringAttribute(input.node, 'auto_pad', 'NOTSET');
  const ceil = intAttribute(input.node, 'ceil_mode', 0) === 1;
  return spatial.map((size, axis) => {
    if (auto.startsWith('SAME'))
      return typeof size === 'number' ? Math.ceil(size / strides[axis]!) : strides[axis] === 1 ? size : undefined;
    const total = auto === 'VALID' ? 0 : pads[axis]! + pads[axis + rank]!;
    return windowLength(
      size,
      kernel[axis]!,
      strides[axis]!,
      dilations[axis]!,
      total,
      ceil,
      auto === 'VALID' ? 0 : pads[axis]!,
    );
  });
}

function convDims(
  input: InferenceInput,
  x: readonly Dim[] | undefined,
  w: readonly Dim[] | undefined,
): Dim[] | undefined {
  if (x === undefined || w === undefined) return undefined;
  const kernel = intsAttribute(input.node, 'kernel_shape') ?? w.slice(2);
  const spatial = isStatic(kernel) ? windows(input, x.slice(2), kernel) : x.slice(2).map(() => undefined);
  return [x[0], w[0], ...spatial];
}

const conv: InferenceRule = (input) => [{ type: input.type(0), dims: convDims(input, input.dims(0), input.dims(1)) }];

const convTranspose: InferenceRule = (input) => {
  const [x, w] = [input.dims(0), input.dims(1)];
  if (x === undefined || w === undefined) return [{ type: input.type(0), dims: undefined }];
  const rank = x.length - 2;
  const fill = (value: number, length = rank) => Array<number>(length).fill(value);
  const channels = typeof w[1] === 'number' ? w[1] * intAttribute(input.node, 'group', 1) : undefined;
  const strides = intsAttribute(input.node, 'strides') ?? fill(1);
  const dilations = intsAttribute(input.node, 'dilations') ?? fill(1);
  const pads = intsAttribute(input.node, 'pads') ?? fill(0, 2 * rank);
  const extra = intsAttribute(input.node, 'output_padding') ?? fill(0);
  const given = intsAttribute(input.node, 'output_shape');
  const auto = stringAttribute(input.node, 'auto_pad', 'NOTSET');
  const spatial = x.slice(2).map((size, axis): Dim => {
    const kernel = intsAttribute(input.node, 'kernel_shape')?.[axis] ?? w[axis + 2];
    if (given) return given[axis];
    if (typeof size !== 'number' || typeof kernel !== 'number') {
      const kept =
        strides[axis] === 1 &&
        typeof kernel === 'number' &&
        (pads[axis] ?? 0) + (pads[axis + rank] ?? 0) === (dilations[axis] ?? 1) * (kernel - 1) + (extra[axis] ?? 0);
      return kept ? size : undefined;
    }
    if (auto.startsWith('SAME')) return size * strides[axis]!;
    return (
      strides[axis]! * (size - 1) +
      extra[axis]! +
      dilations[axis]! * (kernel - 1) +
      1 -
      pads[axis]! -
      pads[axis + rank]!
    );
  });
  return [{ type: input.type(0), dims: [x[0], channels, ...spatial] }];
};

const pool: InferenceRule = (input) => {
  const x = input.dims(0);
  const kernel = intsAttribute(input.node, 'kernel_shape');
  const dims = x && kernel ? [x[0], x[1], ...windows(input, x.slice(2), kernel)] : undefined;
  return [
    { type: input.type(0), dims },
    { type: 'int64', dims },
  ];
};

const globalPool: InferenceRule = (input) => [
  { type: input.type(0), dims: input.dims(0)?.map((dim, axis) => (axis < 2 ? dim : 1)) },
];

const reduce: InferenceRule = (input) => {
  const dims = input.dims(0);
  const given = Boolean(input.node.inputs[1]);
  const keep = intAttribute(input.node, 'keepdims', 1) === 1;
  const axes = given ? input.numbers(1) : undefined;
  const count = input.dims(1)?.[0];
  if (dims === undefined) return [{ type: input.type(0), dims: undefined }];
  if (given && axes === undefined && count !== 0)
    return [{ type: input.type(0), dims: keep ? dims.map(() => undefined) : undefined }];
  const none = !given || axes?.length === 0 || count === 0;
  if (none && intAttribute(input.node, 'noop_with_empty_axes', 0) === 1) return [{ type: input.type(0), dims }];
  const reduced = none ? dims.map((_, axis) => axis) : axes!.map((axis) => positiveAxis(axis, dims.length));
  const result = keep
    ? dims.map((dim, axis) => (reduced.includes(axis) ? 1 : dim))
    : dims.filter((_, axis) => !reduced.includes(axis));
  const whole = input.node.operator === 'ReduceProd' && dims.length === 1 ? input.values(0) : undefined;
  const values = whole?.every((value) => typeof value === 'number')
    ? [whole.reduce((left, right) => (left as number) * (right as number), 1)]
    : undefined;
  return [{ type: input.type(0), dims: result, values }];
};

const argReduce: InferenceRule = (input) => {
  const dims = input.dims(0);
  if (dims === undefined) return [{ type: 'int64', dims: undefined }];
  const axis = positiveAxis(intAttribute(input.node, 'axis', 0), dims.length);
  const keep = intAttribute(input.node, 'keepdims', 1) === 1;
  return [
    {
      type: 'int64',
      dims: keep ? dims.map((dim, at) => (at === axis ? 1 : dim)) : dims.filter((_, at) => at !== axis),
    },
  ];
};

const layerNorm: InferenceRule = (input) => {
  const dims = input.dims(0);
  const axis = dims && positiveAxis(intAttribute(input.node, 'axis', -1), dims.length);
  const stats = dims?.map((dim, at) => (at < axis! ? dim : 1));
  return [
    { type: input.type(0), dims },
    { type: 'float32', dims: stats },
    { type: 'float32', dims: stats },
  ];
};

/** Output dims of an einsum from its equation; ellipses are not followed. */
const einsum: InferenceRule = (input) => {
  const equation = stringAttribute(input.node, 'equation', '').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  if (left === undefined || equation.includes('.')) return [{ type: input.type(0), dims: undefined }];
  const sizes = new Map<string, Dim>();
  left.split(',').forEach((letters, operand) => {
    [...letters].forEach((letter, axis) => {
      const dim = input.dims(operand)?.[axis];
      const before = sizes.get(letter);
      // A one may stand for any length.
      if ((typeof dim === 'number' && dim !== 1) || before === undefined || before === 1) sizes.set(letter, dim);
    });
  });
  const letters =
    right ??
    [...sizes.keys()]
      .filter((letter) => left.split(letter).length === 2)
      .sort()
      .join('');
  return [{ type: input.type(0), dims: [...letters].map((letter) => sizes.get(letter)) }];
};

const REDUCTIONS = ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'];

export const computing: Readonly<Record<string, InferenceRule>> = {
  MatMul: matmul,
  Gemm: gemm,
  Conv: conv,
  ConvTranspose: convTranspose,
  Einsum: einsum,
  MatMulInteger: (input) => [{ type: 'int32', dims: matmulDims(input.dims(0), input.dims(1)) }],
  ConvInteger: (input) => [{ type: 'int32', dims: conv(input)[0]?.dims }],
  QLinearMatMul: (input) => [{ type: input.facts(7)?.type ?? 'uint8', dims: matmulDims(input.dims(0), input.dims(3)) }],
  QLinearConv: (input) => [
    { type: input.facts(7)?.type ?? 'uint8', dims: convDims(input, input.dims(0), input.dims(3)) },
  ],
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  ...Object.fromEntries(REDUCTIONS.map((name) => [`Reduce${name}`, reduce])),
  ArgMax: argReduce,
  ArgMin: argReduce,
  LayerNormalization: layerNorm,
};
