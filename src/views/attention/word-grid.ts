/** Where each word looks in a picture: one small overlay for each, on one scale. */
import { dataUri } from '../png.ts';
import type { PngEncoder } from '../png.ts';
import type { Scale, Theme } from '../scale.ts';
import { at, label, stack, tone } from '../svg.ts';
import type { Drawing } from '../svg.ts';
import { escapeMarkup } from '../escape.ts';
import { ems, truncate } from '../width.ts';
import { patchOverlay } from './strips.ts';
import type { AttentionPicture } from './strips.ts';

interface GridOptions {
  readonly grid: { readonly side: number; readonly before: number };
  readonly scale: Scale;
  readonly theme: Theme;
  readonly width: number;
  readonly encodePng: PngEncoder;
}

const SIDE = 132;
const GAP = 12;

/** `rows`: each word with its numbers of all keys. As many beside one another as fit into `width` user units. */
export async function wordGrid(
  picture: AttentionPicture,
  rows: readonly { readonly word: string; readonly numbers: ArrayLike<number> }[],
  { grid, scale, theme, width, encodePng }: GridOptions,
): Promise<Drawing> {
  const across = Math.max(1, Math.min(rows.length, Math.floor((width + GAP) / (SIDE + GAP))));
  const cells = await Promise.all(
    rows.map(async ({ word, numbers }): Promise<Drawing> => {
      const image = patchOverlay(picture, numbers, grid, scale);
      const height = (SIDE * image.height) / image.width;
      const shown = escapeMarkup(dataUri(await encodePng(image)));
      const name = truncate(word, SIDE / 12.5, ems);
      const body = `<image width="${SIDE}" height="${height.toFixed(1)}" href="${shown}"><title>${escapeMarkup(word)}</title></image>`;
      const text = label(SIDE / 2, height + 16, name, { size: 12, anchor: 'middle', attributes: tone('ink', theme) });
      return { width: SIDE, height: height + 22, body: body + text };
    }),
  );
  const lines: Drawing[] = [];
  for (let first = 0; first < cells.length; first += across) {
    const line = cells.slice(first, first + across);
    const body = line.map((cell, column) => at(column * (SIDE + GAP), 0, cell)).join('');
    lines.push({ width, height: Math.max(...line.map(({ height }) => height)), body });
  }
  return stack(lines, GAP);
}
