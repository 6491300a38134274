import type { InputUnits } from './players.ts';

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
