/** Signed numbers as pixels: a colour table over a scale, then one image; never one element per number. */
import { cellColors, makeScale } from 'onnxray/views';
import type { Theme } from 'onnxray/views';
import { blank } from './attention-pixels.ts';

const STEPS = 256;

/** 2 x 256 + 1 colours from -limit to +limit, as RGBA. */
export function divergingTable(theme: Theme): Uint32Array {
  const scale = makeScale([1], 'diverging');
  return Uint32Array.from({ length: 2 * STEPS + 1 }, (_, i) => {
    const [red, green, blue] = cellColors(scale, (i - STEPS) / STEPS, theme).background;
    return (0xff << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red);
  });
}

/** Numbers as a canvas of `columns` x `rows` pixels; what is not a number stays clear. */
export function numbersImage(
  data: ArrayLike<number>,
  columns: number,
  rows: number,
  limit: number,
  table: Uint32Array,
): HTMLCanvasElement {
  const canvas = blank(columns, rows);
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(Math.max(1, columns), Math.max(1, rows));
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < columns * rows; i++) {
    const value = data[i]!;
    if (Number.isNaN(value)) continue;
    pixels[i] = table[STEPS + Math.round(Math.min(1, Math.max(-1, value / limit)) * STEPS)]!;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The largest size of finite numbers; a little above zero when there is none. */
export function largest(data: ArrayLike<number>): number {
  let most = 1e-9;
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(data[i]!);
    if (size > most && Number.isFinite(size)) most = size;
  }
  return most;
}
