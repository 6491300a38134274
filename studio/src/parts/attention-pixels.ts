/** Attention as pixels: a colour table, then one image per drawing; never one element per cell. */
import { cellColors, makeScale, rampColor, showControls } from 'onnxray/views';
import type { Theme } from 'onnxray/views';
import type { ListedBlock, PackedBlock } from '../engine/engine.ts';

/**
 * 256 RGBA colours for probabilities 0 to 1. The strength of a colour grows with the square root of the probability, so that
 * a twentieth is still seen; the legend is drawn with the same table.
 */
export function probabilityTable(theme: Theme): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const [red, green, blue] = strengthColor(Math.sqrt(i / 255), theme);
    return (0xff << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red);
  });
}

/** From the page's colour to the strongest: darker on a light page, lighter on a dark one. */
function strengthColor(strength: number, theme: Theme): readonly [number, number, number] {
  if (theme === 'light') return rampColor('heat', 'sequential', strength, theme);
  const middle = cellColors(makeScale([1], 'sequential'), Math.min(1, strength / 0.6), theme).background;
  const beyond = Math.max(0, (strength - 0.6) / 0.4);
  const bright = [222, 200, 250] as const;
  const mixed = (channel: 0 | 1 | 2): number => middle[channel] + (bright[channel] - middle[channel]) * beyond;
  return [mixed(0), mixed(1), mixed(2)];
}

/** Hues that stay apart for colour-blind eyes (Okabe and Ito), for several heads at once; dark and light enough for both pages. */
export const HEAD_COLORS = ['#8b5fbf', '#c8702a', '#2f80c0', '#1d9a78', '#c05a9a', '#a08a10', '#3fa7d6', '#b4522f'];

/** One head of a block as a canvas of keys x queries pixels. */
export function headImage({ queries, keys, data }: PackedBlock, head: number, table: Uint32Array): HTMLCanvasElement {
  const canvas = blank(keys, queries);
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(keys, queries);
  const pixels = new Uint32Array(image.data.buffer);
  const from = head * queries * keys;
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[data[from + i]! >> 8]!;
  context.putImageData(image, 0, 0);
  return canvas;
}

/** All heads of all blocks in small, side by side in one canvas: `tiles` says where each is. */
export interface Atlas {
  readonly canvas: HTMLCanvasElement;
  readonly tiles: readonly (readonly Tile[])[];
}

export interface Tile {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export function atlasOf(blocks: readonly ListedBlock[], bytes: Uint8Array, table: Uint32Array): Atlas {
  const width = Math.max(...blocks.map(({ heads, small }) => heads * small[1]));
  const height = blocks.reduce((sum, { small }) => sum + small[0], 0);
  const canvas = blank(width, height);
  const context = canvas.getContext('2d')!;
  let at = 0;
  let y = 0;
  const tiles = blocks.map(({ heads, small: [rows, columns] }) => {
    const image = context.createImageData(heads * columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let head = 0; head < heads; head++)
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++)
          pixels[row * heads * columns + head * columns + column] = table[bytes[at++]!]!;
    context.putImageData(image, 0, y);
    const row = Array.from({ length: heads }, (_, head) => ({ x: head * columns, y, width: columns, height: rows }));
    y += rows;
    return row;
  });
  return { canvas, tiles };
}

/** The mean of a block's heads as one head. */
export function meanOfHeads({ heads, queries, keys, data }: PackedBlock): PackedBlock {
  const size = queries * keys;
  const mean = new Uint16Array(size);
  for (let i = 0; i < size; i++) {
    let sum = 0;
    for (let head = 0; head < heads; head++) sum += data[head * size + i]!;
    mean[i] = Math.round(sum / heads);
  }
  return { heads: 1, queries, keys, data: mean };
}

export function blank(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, width);
  canvas.height = Math.max(1, height);
  return canvas;
}

/** Fits a canvas to its place in device pixels; returns a context in CSS pixels. */
export function fitCanvas(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext('2d')!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** A colour of the page's style sheet. */
export function pageColor(element: Element, name: string, fallback: string): string {
  return getComputedStyle(element).getPropertyValue(name).trim() || fallback;
}

/** A token as a label: leading-space marks of tokenizers become a space, controls are shown. */
export function tokenLabel(token: string): string {
  return showControls(token.replace(/^[Ġ▁]/u, ' '));
}

/** As much of a text as fits, and an ellipsis. */
export function clipText(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && context.measureText(`${letters.join('')}…`).width > width) letters.pop();
  return `${letters.join('')}…`;
}
