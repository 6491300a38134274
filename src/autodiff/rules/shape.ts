/** Operators that move elements without changing them: each gradient moves them back. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import {
  UserError,
  int,
  intAttribute,
  intsAttribute,
  isStatic,
  nodeLabel,
  string,
  stringAttribute,
} from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { Pullback, Rule } from '../rule.ts';
import { rule } from '../rule.ts';
import { paddedBack, pickedBack } from './picking.ts';

const reshapeBack = rule((b, node, dY) => [() => b.reshapeLike(dY, node.inputs[0]!), undefined]);

const transpose = rule((b, node, dY) => [
  () => {
    const rank = b.rank(node.inputs[0]!);
    const perm = intsAttribute(node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
    const inverse = Array<number>(perm.length).fill(0);
    perm.forEach((from, to) => (inverse[from] = to));
    return b.transpose(dY, inverse);
  },
]);

/** Tile repeats the whole axis, so dY folds to [r0, d0, r1, d1, ...] and sums over the r. */
const tile = rule((b, node, dY) => [
  () => {
    const [x, repeats] = [node.inputs[0]!, node.inputs[1]!];
    const rank = b.rank(x);
    const parts = Array.from({ length: rank }, (_, axis) => [
      b.slice(repeats, b.int64s([axis]), b.int64s([axis + 1]), [0]),
      b.dimension(x, axis),
    ]).flat();
    const folded = b.reshape(dY, b.concat(parts, 0), Array(2 * rank).fill(undefined));
    return b.reshape(
      b.sum(
        folded,
        Array.from({ length: rank }, (_, axis) => 2 * axis),
        false,
      ),
      b.shape(x),
      b.dims(x),
    );
  },
  undefined,
]);

/** The piece of `whole` along `axis` that starts at `start` (an int64 vector of one element) and is as long as `piece`. */
function cutLike(b: GraphBuilder, whole: ValueName, piece: ValueName, start: ValueName, axis: number): ValueName {
  const end = b.add(start, b.dimension(piece, axis));
  return b.slice(whole, start, end, [axis], undefined, b.dims(piece));
}

const concat = rule((b, node, dY) => {
  const axis = b.axis(node.inputs[0]!, intAttribute(node, 'axis', 0));
  const lengths = node.inputs.map((x) => b.dims(x)?.[axis]);
  let pieces: ValueName[] | undefined;
  return node.inputs.map((x, index): Pullback => () => {
    if (isStatic(lengths)) {
      pieces ??= b.emit('Split', [dY, b.int64s(lengths)], { axis: int(axis) }, { outputs: lengths.length });
      return pieces[index]!;
    }
    const before = node.inputs.slice(0, index).map((other) => b.dimension(other, axis));
    const start = before.length === 0 ? b.int64s([0]) : before.reduce((left, right) => b.add(left, right));
    return cutLike(b, dY, x, start, axis);
  });
});

const split: Rule = (b, node, gradients) => [
  () => {
    const axis = b.axis(node.inputs[0]!, intAttribute(node, 'axis', 0));
    return b.concat(
      node.outputs.map((output, index) => gradients[index] ?? b.zerosLike(output)),
      axis,
    );
  },
  undefined,
];

/** An int64 vector `list` with the element of each given axis replaced, over all axes of a value. */
function perAxis(b: GraphBuilder, rank: number, axis: number, begin: ValueName, end: ValueName): ValueName {
  const zeros = (count: number) => (count === 0 ? [] : [b.int64s(Array<number>(count).fill(0))]);
  return b.concat([...zeros(axis), begin, ...zeros(rank - 1), end, ...zeros(rank - 1 - axis)], 0);
}

/** `piece` in a tensor of zeros shaped like `like`, starting at `start` along `axis`. */
export function placeAlong(
  b: GraphBuilder,
  piece: ValueName,
  like: ValueName,
  start: ValueName,
  axis: number,
  dims = b.dims(like),
): ValueName {
  const end = b.sub(b.sub(b.dimension(like, axis), start), b.dimension(piece, axis));
  const [known, rest] = [b.numbers(start), b.numbers(end)];
  const [begin, finish] = [known ? b.int64s(known) : start, rest ? b.int64s(rest) : end];
  if (known?.[0] === 0 && rest?.[0] === 0) return piece;
  return b.pad(piece, perAxis(b, b.rank(piece), axis, begin, finish), dims);
}

const slice = rule((b, node, dY) => [
  () => {
    const [x, starts, , axesInput, stepsInput] = node.inputs as [
      ValueName,
      ValueName,
      ValueName,
      ValueName?,
      ValueName?,
    ];
    const count = b.dims(starts)?.[0];
    const axes = axesInput
      ? b.numbers(axesInput)
      : typeof count === 'number'
        ? Array.from({ length: count }, (_, axis) => axis)
        : undefined;
    const steps = stepsInput ? b.numbers(stepsInput) : axes?.map(() => 1);
    if (axes === undefined || steps === undefined || b.dims(x) === undefined) return pickedBack(b, node, dY);
    const [y, rank] = [node.outputs[0]!, b.rank(x)];
    refuseOthers(node, axes, rank);
    let gradient = dY;
    // Axes of known lengths are padded all at once: onnxruntime cannot optimise a Pad of a Pad before a convolution.
    const known = Array<number>(2 * rank).fill(0);
    axes.forEach((negative, index) => {
      const axis = negative < 0 ? negative + rank : negative;
      const [from, to] = [b.dims(x)?.[axis], b.dims(y)?.[axis]];
      if (from !== undefined && from === to && steps[index] === 1) return;
      const dims = b.dims(gradient)?.map((dim, at) => (at === axis ? from : dim));
      if (steps[index] === 1) {
        const start = sliceStart(b, x, starts, index, axis);
        const first = b.numbers(start)?.[0];
        if (typeof from === 'number' && typeof to === 'number' && first !== undefined) {
          known[axis] = first;
          known[axis + rank] = from - to - first;
        } else gradient = placeAlong(b, gradient, x, start, axis, dims);
        return;
      }
      gradient = scatterAlong(b, gradient, x, slicedPositions(b, node, x, axis, index, steps[index]!), axis, dims);
    });
    return known.every((pad) => pad === 0) ? gradient : b.pad(gradient, b.int64s(known), b.dims(x));
  },
]);

/** A broken file may name axes that there are not. */
function refuseOthers(node: Node, axes: readonly number[], rank: number): void {
  const other = axes.find((axis) => axis < -rank || axis >= rank);
  if (other !== undefined)
    throw new UserError(`${node.operator} "${nodeLabel(node)}": its input of ${rank} axes has no axis ${other}`);
}

/** Where a slice begins, as ONNX clamps it: negative starts count from the end. */
function sliceStart(b: GraphBuilder, x: ValueName, starts: ValueName, index: number, axis: number): ValueName {
  const [known, length] = [b.numbers(starts)?.[index], b.dims(x)?.[axis]];
  if (known !== undefined && known >= 0 && typeof length === 'number') return b.int64s([Math.min(known, length)]);
  if (known !== undefined && known < 0 && typeof length === 'number') return b.int64s([Math.max(0, known + length)]);
  if (known === 0) return b.int64s([0]);
  const start = b.cast(b.slice(starts, b.int64s([index]), b.int64s([index + 1]), [0]), 'int64');
  const dimension = b.dimension(x, axis);
  const shifted = b.where(b.less(start, b.int64s([0])), b.add(start, dimension), start);
  return b.op('Min', [b.op('Max', [shifted, b.int64s([0])]), dimension]);
}

/** The positions along `axis` a slice reads: the same slice of 0, 1, 2, ... */
function slicedPositions(
  b: GraphBuilder,
  node: { readonly inputs: readonly ValueName[] },
  x: ValueName,
  axis: number,
  index: number,
  step: number,
): ValueName {
  const one = (list: ValueName) => b.slice(list, b.int64s([index]), b.int64s([index + 1]), [0]);
  const all = b.positions(x, axis);
  return b.slice(all, b.cast(one(node.inputs[1]!), 'int64'), b.cast(one(node.inputs[2]!), 'int64'), [0], [step]);
}

/**
 * Adds the slices of `updates` along `axis` into zeros shaped like `like`, at the positions given: an int64 vector,
 * or a tensor of any rank whose axes then stand in the place of `axis` in `updates`.
 */
export function scatterAlong(
  b: GraphBuilder,
  updates: ValueName,
  like: ValueName,
  positions: ValueName,
  axis: number,
  dims = b.dims(like),
): ValueName {
  const depth = b.rank(positions);
  const rank = b.rank(updates) - depth + 1;
  const order = Array.from({ length: b.rank(updates) }, (_, at) => at);
  const front = b.transpose(updates, [
    ...order.slice(axis, axis + depth),
    ...order.slice(0, axis),
    ...order.slice(axis + depth),
  ]);
  const length = b.dimension(like, axis);
  const rest = [
    ...order.slice(0, axis).map((at) => b.dimension(updates, at)),
    ...order.slice(axis + depth).map((at) => b.dimension(updates, at)),
  ];
  const shape = b.concat([length, ...rest], 0);
  const known = dims && [dims[axis], ...dims.slice(0, axis), ...dims.slice(axis + 1)];
  const zero = { kind: 'tensor', value: b.weightOf(b.type(updates), [1], [0]) } as const;
  const zeros = b.op('ConstantOfShape', [isStatic(known) ? b.int64s(known) : shape], { value: zero }, { dims: known });
  const sum = b.scatterAdd(zeros, b.unsqueeze(positions, [depth]), front);
  const back = Array.from({ length: rank }, (_, at) => (at < axis ? at + 1 : at === axis ? 0 : at));
  return b.transpose(sum, back);
}

/** Constant padding is cut off again; reflect, edge and wrap send the folded part back where it came from. */
const pad = rule((b, node, dY) => [
  () => {
    const [x, pads] = node.inputs as [ValueName, ValueName];
    const axes = paddedAxes(b, node);
    if (axes === undefined) return paddedBack(b, node, dY).x();
    const rank = b.rank(x);
    const mode = stringAttribute(node, 'mode', 'constant');
    const known = b.numbers(pads);
    let gradient = dY;
    axes.forEach((axis, index) => {
      if (known && known[index] === 0 && known[index + axes.length] === 0) return;
      const dims = b.dims(gradient)?.map((dim, at) => (at === axis ? b.dims(x)?.[axis] : dim));
      const begin = b.cast(b.slice(pads, b.int64s([index]), b.int64s([index + 1]), [0]), 'int64');
      if (mode !== 'constant') {
        const all = b.positions(x, axis);
        const end = b.cast(
          b.slice(pads, b.int64s([index + axes.length]), b.int64s([index + axes.length + 1]), [0]),
          'int64',
        );
        const positions = b.op('Pad', [all, b.concat([begin, end], 0)], { mode: string(mode) });
        gradient = scatterAlong(b, gradient, x, positions, axis, dims);
        return;
      }
      // Negative padding cut elements off: they get zeros back, which padding with the negated amounts gives.
      const negative = known && (known[index]! < 0 || known[index + axes.length]! < 0);
      const total = b.dimension(gradient, axis);
      if (known && !negative) {
        const start = b.int64s([known[index]!]);
        gradient = b.slice(gradient, start, b.add(start, b.dimension(x, axis)), [axis], undefined, dims);
        return;
      }
      const end = b.sub(b.sub(total, begin), b.dimension(x, axis));
      gradient = b.pad(gradient, perAxis(b, rank, axis, b.neg(begin), b.neg(end)), dims);
    });
    return gradient;
  },
  undefined,
  // The value stands wherever x does not, where it is a value that is padded with.
  node.inputs[2] && stringAttribute(node, 'mode', 'constant') === 'constant'
    ? () => {
        const axes = paddedAxes(b, node);
        if (axes === undefined) return paddedBack(b, node, dY).value(node.inputs[2]!);
        const total = (value: ValueName) => b.op('ReduceSum', [value], { keepdims: int(0) });
        const outside = b.sub(total(dY), total(padInterior(b, node.inputs, axes, dY)));
        return b.reshapeLike(outside, node.inputs[2]!);
      }
    : undefined,
]);

/** The axes that are padded, counted from the front; undefined where only the graph itself will know them. */
function paddedAxes(b: GraphBuilder, node: Node): readonly number[] | undefined {
  const { inputs } = node;
  const rank = b.dims(inputs[0]!)?.length;
  if (rank === undefined) return undefined;
  if (!inputs[3]) return Array.from({ length: rank }, (_, axis) => axis);
  const axes = b.numbers(inputs[3]);
  if (axes !== undefined) refuseOthers(node, axes, rank);
  return axes?.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** The part of a padded tensor that is not padding. */
function padInterior(b: GraphBuilder, inputs: readonly ValueName[], axes: readonly number[], dY: ValueName): ValueName {
  const [x, pads] = [inputs[0]!, inputs[1]!];
  const begins = b.slice(pads, b.int64s([0]), b.int64s([axes.length]), [0]);
  const lengths = b.gather(b.shape(x), b.int64s(axes), 0);
  // Where padding is negative, x begins before the output does.
  return b.slice(dY, b.op('Max', [begins, b.int64s([0])]), b.add(begins, lengths), axes);
}

const blocks = (inverse: 'DepthToSpace' | 'SpaceToDepth'): Rule =>
  rule((b, node, dY) => {
    const size = intAttribute(node, 'blocksize', 1);
    return [
      () => {
        if (inverse === 'SpaceToDepth' && stringAttribute(node, 'mode', 'DCR') === 'CRD')
          return spaceToDepthCRD(b, dY, node.inputs[0]!, size);
        return b.op(inverse, [dY], { blocksize: int(size) }, { dims: b.dims(node.inputs[0]!) });
      },
    ];
  });

/** The inverse of DepthToSpace in column-row-depth order, which SpaceToDepth has no mode for. */
function spaceToDepthCRD(b: GraphBuilder, dY: ValueName, x: ValueName, size: number): ValueName {
  const [height, width] = [b.dimension(x, 2), b.dimension(x, 3)];
  const block = b.int64s([size]);
  const folded = b.reshape(
    dY,
    b.concat([b.dimension(dY, 0), b.dimension(dY, 1), height, block, width, block], 0),
    Array(6).fill(undefined),
  );
  return b.reshape(b.transpose(folded, [0, 1, 3, 5, 2, 4]), b.shape(x), b.dims(x));
}

const trilu = rule((b, node, dY) => [
  () => b.op('Trilu', [dY, node.inputs[1] ?? ''], { upper: int(intAttribute(node, 'upper', 1)) }),
  undefined,
]);

export const shaping = {
  Reshape: reshapeBack,
  Flatten: reshapeBack,
  Squeeze: reshapeBack,
  Unsqueeze: reshapeBack,
  Transpose: transpose,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Trilu: trilu,
  Expand: rule((b, node, dY) => [() => unbroadcast(b, dY, node.inputs[0]!), undefined]),
  DepthToSpace: blocks('SpaceToDepth'),
  SpaceToDepth: blocks('DepthToSpace'),
} satisfies Readonly<Record<string, Rule>>;
