/** A row of numbers over what it is of: tokens of a text, patches of a picture. */
import { toHex } from '../color.ts';
import { showControls } from '../escape.ts';
import { colorTable, cellColors, overlayOpacity, position, tableEntry } from '../scale.ts';
import type { Scale, Theme } from '../scale.ts';
import { label, rect } from '../svg.ts';
import type { Drawing } from '../svg.ts';
import { ems } from '../width.ts';
import type { RgbaImage, RgbPicture } from '../image-overlay.ts';

/** Tokens on backgrounds, wrapped at `width`. */
export function tokenStrip(
  tokens: readonly string[],
  numbers: ArrayLike<number>,
  scale: Scale,
  { width, theme }: { readonly width: number; readonly theme: Theme },
): Drawing {
  const size = 13;
  let [x, y] = [0, 0];
  const parts = tokens.map((token, at) => {
    const text = showControls(token).replaceAll(/\s/g, '\u00a0') || '\u00a0';
    const own = ems(text) * size + 10;
    if (x > 0 && x + own > width) [x, y] = [0, y + 26];
    const { background, text: ink } = cellColors(scale, numbers[at]!, theme);
    const part =
      rect(x, y, own, 22, `rx="2" fill="${toHex(background)}"`) +
      label(x + own / 2, y + 15.5, text, { size, anchor: 'middle', attributes: `fill="${toHex(ink)}"` });
    x += own + 3;
    return part;
  });
  return { width, height: y + 26, body: parts.join('') };
}

/** A picture and the part of it that the model saw. */
export interface AttentionPicture {
  readonly pixels: RgbPicture & { readonly channels?: number };
  /** As shares of the picture's width and height. */
  readonly crop: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

/**
 * The square that a number of keys make as patches of a picture, and how many keys stand before it ([CLS], distillation,
 * registers): the largest square with at most 8 before it. undefined when there is none.
 */
export function patchGrid(keys: number): { readonly side: number; readonly before: number } | undefined {
  const side = Math.floor(Math.sqrt(keys));
  const before = keys - side * side;
  return side >= 2 && before <= 8 ? { side, before } : undefined;
}

/** Numbers of patches over a grey picture, smoothly between their centres. */
export function patchOverlay(
  { pixels, crop }: AttentionPicture,
  numbers: ArrayLike<number>,
  grid: { readonly side: number; readonly before: number },
  scale: Scale,
): RgbaImage {
  const { width, height, data } = pixels;
  const channels = data.length / (width * height);
  const table = colorTable(scale.kind, 'overlay');
  const result = new Uint8Array(width * height * 4);
  const { side, before } = grid;
  const value = (row: number, column: number) => {
    const clamp = (at: number) => Math.min(side - 1, Math.max(0, at));
    return numbers[before + clamp(row) * side + clamp(column)]!;
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * channels;
      const [r, g, b] =
        channels < 3 ? [data[from]!, data[from]!, data[from]!] : [data[from]!, data[from + 1]!, data[from + 2]!];
      const grey = 0.299 * r! + 0.587 * g! + 0.114 * b!;
      const u = ((x + 0.5) / width - crop.x) / crop.width;
      const v = ((y + 0.5) / height - crop.y) / crop.height;
      let t = 0;
      if (u >= 0 && u < 1 && v >= 0 && v < 1) {
        const [column, row] = [u * side - 0.5, v * side - 0.5];
        const [c, w] = [Math.floor(column), Math.floor(row)];
        const [fx, fy] = [column - c, row - w];
        const score =
          (1 - fy) * ((1 - fx) * value(w, c) + fx * value(w, c + 1)) +
          fy * ((1 - fx) * value(w + 1, c) + fx * value(w + 1, c + 1));
        t = position(scale, score);
      }
      const opacity = overlayOpacity(t);
      const color = 3 * tableEntry(t);
      // Lifted towards white, so that colour shows on dark pictures too.
      const base = 255 - (255 - grey) * 0.75;
      for (let channel = 0; channel < 3; channel++)
        result[4 * (y * width + x) + channel] = Math.round(base * (1 - opacity) + table[color + channel]! * opacity);
      result[4 * (y * width + x) + 3] = 255;
    }
  return { width, height, data: result };
}
