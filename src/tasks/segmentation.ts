/** What segmentation models answer: a class at every place; a region is what hangs together around one of them. */
import { UserError } from '../onnx/index.ts';
import type { DenseTensor } from '../onnx/index.ts';

/** A region of an output [1, C, H, W] or [1, H, W, C] or [1, H, W], as weights that pick it. */
export interface Region {
  /** 1 at the region's class and places, 0 elsewhere; shaped as the output. */
  readonly weights: Float32Array;
  readonly label: number;
  /** Number of places in the output's own resolution. */
  readonly size: number;
  /** Indices of the place asked for, after the batch axis. */
  readonly indices: readonly number[];
}

/** Of a model with one class: from here on a place belongs to it. */
const FOREGROUND = 0.5;

/**
 * The places of the same class that hang together (by their sides) with the one at (x, y), given as fractions of the
 * picture. With one channel the class is what is above 0.5, or above 0 for raw scores; a place below it is refused.
 * @param answer numbers of the output. @param channelsLast whether the model is fed [1, H, W, C]. @param aspect width over height of what it is fed.
 */
export function regionAt(
  { dims }: Pick<DenseTensor, 'dims'>,
  values: ArrayLike<number>,
  at: { readonly x: number; readonly y: number },
  channelsLast: boolean,
  aspect: number,
): Region {
  const flatMap = dims.length === 3 && Math.abs(dims[1]! * aspect - dims[2]!) <= 2;
  const shape = flatMap ? [1, 1, dims[1]!, dims[2]!] : dims;
  if (shape.length !== 4)
    throw new UserError(
      `--region asks for a class at a place of the picture, but the output is [${dims.join(', ')}], not a map of classes`,
    );
  const last = dims.length === 4 && channelsLast && !(dims[1]! < dims[3]! && dims[2] === dims[3]);
  const [channels, height, width] = (last ? [shape[3], shape[1], shape[2]] : [shape[1], shape[2], shape[3]]) as [
    number,
    number,
    number,
  ];
  const index = (channel: number, place: number) =>
    last ? place * channels + channel : channel * height * width + place;
  const [x, y] = [Math.floor(at.x * width), Math.floor(at.y * height)];
  if (x < 0 || y < 0 || x >= width || y >= height)
    throw new UserError('--region is not in the part of the picture that the model sees');
  const raw = channels === 1 && Array.from(values).some((value) => value < 0 || value > 1);
  const classOf = (place: number): number => {
    if (channels === 1) return values[index(0, place)]! > (raw ? 0 : FOREGROUND) ? 0 : -1;
    let best = 0;
    for (let channel = 1; channel < channels; channel++)
      if (values[index(channel, place)]! > values[index(best, place)]!) best = channel;
    return best;
  };
  const start = y * width + x;
  const label = classOf(start);
  if (label < 0)
    throw new UserError(
      `the model sees nothing at --region: its answer there is ${values[index(0, start)]!.toPrecision(3)}`,
    );
  const weights = new Float32Array(values.length);
  const seen = new Uint8Array(height * width);
  const waiting = [start];
  seen[start] = 1;
  let size = 0;
  while (waiting.length > 0) {
    const place = waiting.pop()!;
    weights[index(label, place)] = 1;
    size++;
    const column = place % width;
    for (const next of [
      place >= width ? place - width : -1,
      place + width < height * width ? place + width : -1,
      column > 0 ? place - 1 : -1,
      column + 1 < width ? place + 1 : -1,
    ])
      if (next >= 0 && seen[next] === 0) {
        seen[next] = 1;
        if (classOf(next) === label) waiting.push(next);
      }
  }
  const indices = dims.length === 3 ? [y, x] : last ? [y, x, label] : [label, y, x];
  return { weights, label, size, indices };
}
