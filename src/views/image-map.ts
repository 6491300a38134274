import type { Explanation, Scores } from '../explanation/index.ts';
import { methodFacts } from './method.ts';
import { makeScale } from './scale.ts';
import type { Scale } from './scale.ts';

/** One score per pixel (or per cell of a layer's map), row by row. */
export interface ScoreMap {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
}

/** A score map ready to draw. */
export interface ImageScores {
  readonly map: ScoreMap;
  readonly scale: Scale;
  /** Gaussian σ used for display, in pixels of the map; 0 when the scores are drawn as they are. */
  readonly sigma: number;
}

export interface ImageScoreOptions {
  /** σ in pixels of the map. Default: 1 % of the longer side for maps of 64 pixels and more, else 0. */
  readonly smooth?: number;
  /** Percentile of |score| with the full colour. Default 99. */
  readonly percentile?: number;
}

/**
 * The map of an image explanation, or undefined when none of its attributions is shaped like one.
 * Channels are summed: as they are for signed methods, by size for unsigned ones (saliency).
 */
export function imageScores(explanation: Explanation, options: ImageScoreOptions = {}): ImageScores | undefined {
  const image = explanation.image;
  if (image === undefined) return undefined;
  const { kind } = methodFacts(explanation);
  const own = explanation.attributions[image.input];
  const raw =
    (own && toMap(own, image.layout, kind === 'sequential')) ??
    Object.values(explanation.attributions)
      .map((scores) => toMap(scores, image.layout, kind === 'sequential'))
      .find((map) => map !== undefined);
  if (raw === undefined) return undefined;
  const side = Math.max(raw.width, raw.height);
  const sigma = options.smooth ?? (side >= 64 ? Math.round(side / 10) / 10 : 0);
  const map = smooth(raw, sigma);
  return { map, scale: makeScale(map.data, kind, options.percentile ?? 99), sigma };
}

/** Accepts [1,C,H,W], [1,H,W,C] (by layout), [1,1,H,W], [1,H,W] and [H,W]; of a batch only the first. */
export function toMap(scores: Scores, layout: 'NCHW' | 'NHWC', unsigned: boolean): ScoreMap | undefined {
  const dims = scores.dims.length === 4 ? scores.dims.slice(1) : scores.dims;
  if (dims.length === 2) return reduce(scores, 1, dims[0]!, dims[1]!, unsigned, false);
  if (dims.length !== 3) return undefined;
  if (scores.dims.length === 3) return reduce(scores, 1, dims[1]!, dims[2]!, unsigned, false);
  // A one-channel map in front of an NHWC model is still [1,1,H,W].
  const last = layout === 'NHWC' && !(dims[0] === 1 && dims[2]! > 4);
  return last
    ? reduce(scores, dims[2]!, dims[0]!, dims[1]!, unsigned, true)
    : reduce(scores, dims[0]!, dims[1]!, dims[2]!, unsigned, false);
}

function reduce(
  { data }: Scores,
  channels: number,
  height: number,
  width: number,
  unsigned: boolean,
  channelsLast: boolean,
): ScoreMap | undefined {
  const area = width * height;
  if (area === 0 || data.length < channels * area) return undefined;
  const map = new Float64Array(area);
  for (let channel = 0; channel < channels; channel++)
    for (let i = 0; i < area; i++) {
      const score = data[channelsLast ? i * channels + channel : channel * area + i]!;
      map[i]! += unsigned ? Math.abs(score) : score;
    }
  return { width, height, data: map };
}

/** Gaussian blur with reflected edges; the sum of the map stays the same up to rounding. σ in pixels, 0 for none. */
export function smooth(map: ScoreMap, sigma: number): ScoreMap {
  if (!(sigma > 0)) return map;
  const radius = Math.max(1, Math.ceil(3 * sigma));
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)),
  );
  const total = kernel.reduce((sum, weight) => sum + weight, 0);
  const rows = blurLines(map.data, map.width, map.height, 1, map.width, kernel, total);
  return { ...map, data: blurLines(rows, map.height, map.width, map.width, 1, kernel, total) };
}

function blurLines(
  data: Float64Array,
  length: number,
  lines: number,
  step: number,
  lineStep: number,
  kernel: Float64Array,
  total: number,
): Float64Array {
  const radius = (kernel.length - 1) / 2;
  const result = new Float64Array(data.length);
  for (let l = 0; l < lines; l++)
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (let k = -radius; k <= radius; k++)
        sum += kernel[k + radius]! * data[l * lineStep + reflect(i + k, length) * step]!;
      result[l * lineStep + i * step] = sum / total;
    }
  return result;
}

/** -1 is 0, `length` is `length - 1`: the edge pixel is counted twice. */
function reflect(i: number, length: number): number {
  const period = 2 * length;
  const j = ((i % period) + period) % period;
  return j < length ? j : period - 1 - j;
}

/** The map's value between cell centres; x and y from 0 to 1 over the map. */
export function sample({ width, height, data }: ScoreMap, x: number, y: number): number {
  const fx = Math.min(width - 1, Math.max(0, x * width - 0.5));
  const fy = Math.min(height - 1, Math.max(0, y * height - 0.5));
  const [x0, y0] = [Math.floor(fx), Math.floor(fy)];
  const [x1, y1] = [Math.min(width - 1, x0 + 1), Math.min(height - 1, y0 + 1)];
  const [dx, dy] = [fx - x0, fy - y0];
  const top = data[y0 * width + x0]! * (1 - dx) + data[y0 * width + x1]! * dx;
  const bottom = data[y1 * width + x0]! * (1 - dx) + data[y1 * width + x1]! * dx;
  return top * (1 - dy) + bottom * dy;
}

/** The score at a pixel of a picture by the scale's limit; `crop` is where the map lies in the picture, beside it is 0. */
export function shareAt(
  scores: ImageScores,
  crop: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
): (x: number, y: number) => number {
  const limit = scores.scale.limit || 1;
  return (x, y) => {
    const [u, v] = [(x + 0.5 - crop.x) / crop.width, (y + 0.5 - crop.y) / crop.height];
    return u < 0 || v < 0 || u > 1 || v > 1 ? 0 : sample(scores.map, u, v) / limit;
  };
}
