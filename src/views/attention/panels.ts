/** Many matrices at once: all heads of a block, all heads of all layers. */
import type { Scale } from '../scale.ts';
import { at, label, tone } from '../svg.ts';
import type { Drawing } from '../svg.ts';
import type { Frame, Matrix } from './matrix.ts';
import { matrixPicture } from './matrix.ts';

export interface Panel {
  readonly title: string;
  readonly matrix: Matrix;
}

/** Small multiples, `perRow` in a row, each with its title; the same scale for all. */
export async function panelGrid(
  panels: readonly Panel[],
  scale: Scale,
  { width, perRow, ...frame }: Frame & { readonly width: number; readonly perRow: number },
): Promise<Drawing> {
  const gap = 14;
  const side = (width - gap * (perRow - 1)) / perRow;
  const most = Math.max(...panels.map(({ matrix }) => matrix.rows / Math.max(1, matrix.columns)));
  const height = Math.max(14, Math.min(side, side * most));
  const parts: string[] = [];
  for (const [index, { title, matrix }] of panels.entries()) {
    const [column, row] = [index % perRow, Math.floor(index / perRow)];
    const picture = await matrixPicture(matrix, scale, { ...frame, width: side, height });
    const heading = label(0, 11, title, { size: 11, attributes: tone('muted', frame.theme) });
    const body = heading + at(0, 16, picture);
    parts.push(at(column * (side + gap), row * (height + 16 + gap), { width: side, height: height + 16, body }));
  }
  const rows = Math.ceil(panels.length / perRow);
  return { width, height: rows * (height + 16 + gap) - gap, body: parts.join('') };
}

/** The model view: a row of thumbnails per layer, a column per head. */
export async function modelView(
  layers: readonly { readonly title: string; readonly heads: readonly Matrix[] }[],
  scale: Scale,
  words: { readonly heads: string },
  { width, ...frame }: Frame & { readonly width: number },
): Promise<Drawing> {
  const left = 96;
  const most = Math.max(...layers.map(({ heads }) => heads.length));
  const gap = 4;
  const side = Math.min(96, (width - left - gap * (most - 1)) / most);
  const small = { size: 11, attributes: tone('muted', frame.theme) } as const;
  const parts = Array.from({ length: most }, (_, head) =>
    label(left + head * (side + gap) + side / 2, 11, String(head), { ...small, anchor: 'middle' }),
  );
  parts.push(label(left - 8, 11, words.heads, { ...small, anchor: 'end' }));
  let y = 18;
  for (const { title, heads } of layers) {
    parts.push(label(left - 8, y + side / 2 + 4, title, { ...small, anchor: 'end' }));
    for (const [head, matrix] of heads.entries()) {
      const picture = await matrixPicture(matrix, scale, { ...frame, width: side, height: side });
      parts.push(at(left + head * (side + gap), y, picture));
    }
    y += side + gap;
  }
  return { width: left + most * (side + gap), height: y, body: parts.join('') };
}
