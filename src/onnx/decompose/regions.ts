/** Regions of interest: RoiAlign and MaxRoiPool. */
import type { GraphBuilder } from '../builder.ts';
import type { ValueName } from '../model.ts';
import { floatAttribute, int, intAttribute, intsAttribute, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';

const column = (b: GraphBuilder, rois: ValueName, at: number) => b.gather(rois, b.constant('int64', [], [at]), 1);

/** Where the samples of all bins lie along one axis, and which of them count. */
interface Samples {
  /** [regions, bins, samples] */
  readonly positions: ValueName;
  readonly counted: ValueName;
  /** Samples per bin, [regions, 1, 1]. */
  readonly count: ValueName;
}

/** Samples at start + bin (p + (s + 1/2) / count). Without a fixed count each region has as many as its bins are long. */
function samplesAlong(b: GraphBuilder, start: ValueName, length: ValueName, bins: number, ratio: number): Samples {
  const number = (value: number) => b.scalar(value, start);
  const wide = (value: ValueName) => b.unsqueeze(value, [1, 2]);
  const bin = b.div(length, number(bins));
  const count = ratio > 0 ? b.mul(b.onesLike(bin), number(ratio)) : b.op('Ceil', [bin]);
  const most =
    ratio > 0
      ? b.constant('int64', [], [ratio])
      : b.cast(b.op('ReduceMax', [b.op('Max', [count, number(1)])], { keepdims: int(0) }), 'int64');
  const range = b.op('Range', [b.constant('int64', [], [0]), most, b.constant('int64', [], [1])]);
  const sample = b.cast(range, b.type(start));
  const binIndex = b.constant(
    b.type(start),
    [bins, 1],
    Array.from({ length: bins }, (_, index) => index),
  );
  const within = b.div(b.add(sample, number(0.5)), wide(count));
  const positions = b.add(wide(start), b.mul(wide(bin), b.add(binIndex, within)));
  return { positions, counted: b.less(sample, wide(count)), count: wide(count) };
}

/** A position in the image, or nothing when it lies more than a pixel outside. */
function clampInside(b: GraphBuilder, { positions, counted }: Samples, length: ValueName) {
  const last = b.sub(length, b.scalar(1, length));
  const valid = b.and(
    b.and(b.greaterOrEqual(positions, b.scalar(-1, length)), b.lessOrEqual(positions, length)),
    counted,
  );
  return { at: b.op('Clip', [positions, b.scalar(0, length), last]), valid };
}

const lengthOf = (b: GraphBuilder, x: ValueName, axis: number) =>
  b.cast(b.squeeze(b.dimension(x, axis), [0]), b.type(x));

/** M [regions, bins, length]: how much each row of the image counts in each bin; the mean of linear interpolations. */
function meanMatrix(b: GraphBuilder, samples: Samples, x: ValueName, axis: number): ValueName {
  const { at, valid } = clampInside(b, samples, lengthOf(b, x, axis));
  const rows = b.cast(b.positions(x, axis), b.type(x));
  const zero = b.scalar(0, x);
  const distance = b.abs(b.sub(b.unsqueeze(at, [3]), rows));
  const tent = b.op('Max', [b.sub(b.scalar(1, x), distance), zero]);
  const weights = b.sum(b.where(b.unsqueeze(valid, [3]), tent, zero), [2], false);
  return b.div(weights, b.op('Max', [samples.count, b.scalar(1, x)]));
}

const roiAlign: Decomposition = (b, node) => {
  const [x, rois, batch] = node.inputs as [ValueName, ValueName, ValueName];
  const [height, width] = [intAttribute(node, 'output_height', 1), intAttribute(node, 'output_width', 1)];
  const ratio = intAttribute(node, 'sampling_ratio', 0);
  const halfPixel = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel') === 'half_pixel';
  const scale = b.scalar(floatAttribute(node, 'spatial_scale', 1), x);
  const edge = (at: number) => {
    const scaled = b.mul(column(b, rois, at), scale);
    return halfPixel ? b.sub(scaled, b.scalar(0.5, x)) : scaled;
  };
  const extent = (from: ValueName, to: ValueName) => {
    const length = b.sub(to, from);
    return halfPixel ? length : b.op('Max', [length, b.scalar(1, x)]);
  };
  const [x1, y1, x2, y2] = [edge(0), edge(1), edge(2), edge(3)];
  const vertical = samplesAlong(b, y1, extent(y1, y2), height, ratio);
  const horizontal = samplesAlong(b, x1, extent(x1, x2), width, ratio);
  const images = b.gather(x, b.cast(batch, 'int64'), 0);
  if (stringAttribute(node, 'mode', 'avg') === 'avg') {
    const rows = b.unsqueeze(meanMatrix(b, vertical, x, 2), [1]);
    const columns = b.unsqueeze(meanMatrix(b, horizontal, x, 3), [1]);
    return [b.matmul(b.matmul(rows, images), b.matrixTranspose(columns))];
  }
  return ratio > 0 ? [maxOfSamples(b, images, vertical, horizontal, height, width, ratio)] : undefined;
};

/** onnxruntime's maximum: over all samples, of the four neighbours each times its weight. */
function maxOfSamples(
  b: GraphBuilder,
  images: ValueName,
  vertical: Samples,
  horizontal: Samples,
  height: number,
  width: number,
  ratio: number,
): ValueName {
  const ends = (samples: Samples, axis: number) => {
    const length = lengthOf(b, images, axis);
    const { at, valid } = clampInside(b, samples, length);
    const low = b.op('Floor', [at]);
    const high = b.op('Min', [b.add(low, b.scalar(1, low)), b.sub(length, b.scalar(1, low))]);
    const t = b.sub(at, low);
    const mask = b.cast(valid, b.type(at));
    const flat = (value: ValueName) => b.reshapeTo(value, [0, -1]);
    return [
      { index: flat(low), weight: flat(b.mul(b.sub(b.scalar(1, t), t), mask)) },
      { index: flat(high), weight: flat(b.mul(t, mask)) },
    ];
  };
  const pick = (value: ValueName, index: ValueName, axis: number) => {
    const whole = b.unsqueeze(b.cast(index, 'int64'), axis === 2 ? [1, 3] : [1, 2]);
    const target = [0, 1, 2, 3].map((at) => (at === axis ? b.dimension(index, 1) : b.dimension(value, at)));
    const dims = b.dims(value)?.map((dim, at) => (at === axis ? b.dims(index)?.[1] : dim));
    const indices = b.op('Expand', [whole, b.concat(target, 0)], {}, { dims });
    return b.op('GatherElements', [value, indices], { axis: int(axis) });
  };
  const corners = ends(vertical, 2).flatMap((row) =>
    ends(horizontal, 3).map((side) => {
      const weight = b.mul(b.unsqueeze(row.weight, [1, 3]), b.unsqueeze(side.weight, [1, 2]));
      return b.mul(pick(pick(images, row.index, 2), side.index, 3), weight);
    }),
  );
  const samples = b.op('Max', corners);
  return b.max(b.reshapeTo(samples, [0, 0, height, ratio, width, ratio]), [3, 5], false);
}

/** The maximum of each bin of a region whose corners are rounded to pixels; 0 where a bin is empty. */
const maxRoiPool: Decomposition = (b, node) => {
  const [x, rois] = [node.inputs[0]!, node.inputs[1]!];
  const pooled = intsAttribute(node, 'pooled_shape');
  if (b.dims(x)?.length !== 4 || pooled?.length !== 2) return undefined;
  const number = (value: number) => b.scalar(value, x);
  const scale = number(floatAttribute(node, 'spatial_scale', 1));
  const rounded = (at: number) => b.op('Floor', [b.add(b.mul(column(b, rois, at), scale), number(0.5))]);
  // [regions, bins, length]: whether a row belongs to a bin
  const masks = [0, 1].map((axis) => {
    const bins = pooled[axis]!;
    const [start, end] = [rounded(2 - axis), rounded(4 - axis)];
    const length = b.op('Max', [b.add(b.sub(end, start), number(1)), number(1)]);
    const size = b.unsqueeze(b.div(length, number(bins)), [1]);
    const index = (from: number) =>
      b.constant(
        b.type(x),
        [1, bins],
        Array.from({ length: bins }, (_, at) => at + from),
      );
    const first = b.add(b.op('Floor', [b.mul(index(0), size)]), b.unsqueeze(start, [1]));
    const behind = b.add(b.op('Ceil', [b.mul(index(1), size)]), b.unsqueeze(start, [1]));
    const rows = b.cast(b.positions(x, axis + 2), b.type(x));
    return b.and(b.greaterOrEqual(rows, b.unsqueeze(first, [2])), b.less(rows, b.unsqueeze(behind, [2])));
  });
  const images = b.gather(x, b.cast(column(b, rois, 0), 'int64'), 0);
  const lowest = number(-Infinity);
  // [R, C, PH, H, W] -> [R, C, PH, W], then [R, C, PH, PW, W] -> [R, C, PH, PW]
  const rows = b.where(b.unsqueeze(masks[0]!, [1, 4]), b.unsqueeze(images, [2]), lowest);
  const high = b.max(rows, [3], false);
  const columns = b.where(b.unsqueeze(masks[1]!, [1, 2]), b.unsqueeze(high, [3]), lowest);
  const result = b.max(columns, [4], false);
  return [b.where(b.equal(result, lowest), number(0), result)];
};

export const regionFamily = { RoiAlign: roiAlign, MaxRoiPool: maxRoiPool } satisfies Readonly<
  Record<string, Decomposition>
>;
