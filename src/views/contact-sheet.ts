import type { Explanation } from '../explanation/index.ts';
import { formatNumber } from './format.ts';
import { drawImages, subjectOf } from './figure.ts';
import type { ImageScoreOptions } from './image-map.ts';
import type { RgbPicture } from './image-overlay.ts';
import { dataUri, encodePng } from './png.ts';
import type { PngEncoder } from './png.ts';
import { INK, MUTED } from './scale.ts';
import type { Theme } from './scale.ts';
import { label, solid, svgDocument } from './svg.ts';
import { escapeMarkup } from './escape.ts';
import { ems, truncate } from './width.ts';

/** One picture of a sheet; several explanations of it stand beside one another. */
export interface SheetRow {
  readonly title: string;
  readonly picture: RgbPicture | undefined;
  readonly explanations: readonly Explanation[];
}

export interface SheetOptions extends ImageScoreOptions {
  readonly theme?: Theme;
  /** Side of a cell in user units. Default 200. */
  readonly cell?: number;
  /** Rows beside one another where each has one explanation. Default 4. */
  readonly across?: number;
  readonly encodePng?: PngEncoder;
}

/**
 * Many explanations of pictures on one page, as an SVG document: for each picture itself and its overlays, with method,
 * answer and value below. Every overlay has its own scale, whose limit stands below it.
 */
export async function contactSheet(rows: readonly SheetRow[], options: SheetOptions = {}): Promise<string> {
  const { theme = 'light', cell = 200, across = 4 } = options;
  const encode = options.encodePng ?? encodePng;
  const most = Math.max(1, ...rows.map(({ explanations }) => explanations.length));
  // One explanation each: a grid of overlays. More: a row for each picture, which stands in front.
  const single = most === 1;
  const columns = single ? Math.min(across, Math.max(1, rows.length)) : most + 1;
  const [gap, text] = [14, 36];
  const body: string[] = [];
  let [column, y] = [0, 0];
  const place = async (image: Parameters<PngEncoder>[0] | undefined, first: string, second: string) => {
    const x = column * (cell + gap);
    if (image !== undefined) {
      const factor = Math.min(cell / image.width, cell / image.height);
      const [width, height] = [image.width * factor, image.height * factor];
      const size = `x="${(x + (cell - width) / 2).toFixed(1)}" y="${(y + cell - height).toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}"`;
      body.push(
        `<image ${size} href="${dataUri(await encode(image))}"><title>${escapeMarkup(`${first}: ${second}`)}</title></image>`,
      );
    }
    const line = (words: string) => truncate(words, cell / 12.5, ems);
    body.push(
      label(x, y + cell + 15, line(first), { size: 12, weight: 600, attributes: solid(INK[theme]) }),
      label(x, y + cell + 30, line(second), { size: 11, attributes: solid(MUTED[theme]) }),
    );
    column++;
    if (column === columns) [column, y] = [0, y + cell + text + gap];
  };
  for (const { title, picture, explanations } of rows) {
    const drawn = explanations.map((explanation) => {
      const subject = subjectOf(explanation, { ...options, ...(picture && { picture }) });
      return subject.kind === 'image'
        ? { images: drawImages(explanation, subject, 2 * cell), limit: subject.scores.scale.limit }
        : undefined;
    });
    if (!single)
      await place(drawn.find((each) => each?.images.original)?.images.original, title, predicted(explanations[0]));
    for (const [at, explanation] of explanations.entries()) {
      const { target, value, method } = explanation;
      const image = drawn[at]?.images.overlay ?? drawn[at]?.images.heat;
      const limit = drawn[at] === undefined ? '' : ` · ≤ ${formatNumber(drawn[at].limit, 3)}`;
      await place(image, single ? title : method, `${target.label}: ${formatNumber(value, 3)}${limit}`);
    }
    if (!single && column > 0) [column, y] = [0, y + cell + text + gap];
  }
  const height = column > 0 ? y + cell + text : Math.max(1, y - gap);
  const drawing = { width: columns * (cell + gap) - gap, height, body: body.join('') };
  return svgDocument(drawing, { theme, margin: 20, title: rows.map(({ title }) => title).join(', '), lang: 'en' });
}

function predicted(explanation: Explanation | undefined): string {
  const top = explanation?.predictions?.[0];
  return top === undefined ? '' : `${top.label} ${(top.value * 100).toFixed(0)} %`;
}
