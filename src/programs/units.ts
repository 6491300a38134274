/** The parts that one input is taken apart into: words or tokens of a text, regions of a picture, elements. */
import type { TextContext } from '../explanation/index.ts';
import { sizeOf } from '../onnx/index.ts';

/** Group of each element of one input, from 0, and -1 where nothing is ever taken away. */
export interface InputUnits {
  readonly units: Int32Array;
  /** Position of each unit. */
  readonly places: readonly (readonly number[])[];
}

/** Words, or tokens, of a text; special tokens always stay. */
export function textUnits(
  { words, segments }: Pick<TextContext, 'words' | 'segments'>,
  length: number,
  byWord: boolean,
): InputUnits {
  const seen = new Map<string, number>();
  const units = Int32Array.from({ length }, (_, token) => {
    const word = words[token];
    if (word === null || word === undefined) return -1;
    const key = byWord ? `${segments[token]}:${word}` : String(token);
    if (!seen.has(key)) seen.set(key, seen.size);
    return seen.get(key)!;
  });
  return { units, places: Array.from({ length: seen.size }, (_, unit) => [unit]) };
}

/** A grid of equal rectangles over a picture, the same in all channels. */
export function imageRegions(dims: readonly number[], layout: 'NCHW' | 'NHWC', perSide: number): InputUnits {
  const [height, width] = layout === 'NCHW' ? [dims[2]!, dims[3]!] : [dims[1]!, dims[2]!];
  const channels = layout === 'NCHW' ? dims[1]! : dims[3]!;
  const [rows, columns] = [Math.min(perSide, height), Math.min(perSide, width)];
  const units = new Int32Array(channels * height * width);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const unit = Math.floor((y * rows) / height) * columns + Math.floor((x * columns) / width);
      for (let c = 0; c < channels; c++)
        units[layout === 'NCHW' ? (c * height + y) * width + x : (y * width + x) * channels + c] = unit;
    }
  const places = Array.from({ length: rows * columns }, (_, unit) => [Math.floor(unit / columns), unit % columns]);
  return { units, places };
}

/** Every element by itself. */
export function tensorElements(dims: readonly number[]): InputUnits {
  const size = sizeOf(dims);
  return {
    units: Int32Array.from({ length: size }, (_, index) => index),
    places: Array.from({ length: size }, (_, index) => [index]),
  };
}
