import type { Explanation } from '../explanation/index.ts';
import { formatNumber } from './format.ts';
import { drawImages, subjectOf } from './figure.ts';
import type { ImageView } from './figure.ts';
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
  /** How each picture is drawn. Default `overlay`. */
  readonly view?: ImageView;
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
  let y = 0;
  let line: Cell[] = [];
  /** Draws the cells so far beside one another, as high as the highest of them. */
  const flush = async () => {
    const scaled = line.map(({ image, ...words }) => {
      const factor = image === undefined ? 0 : Math.min(cell / image.width, cell / image.height);
      return { image, width: (image?.width ?? 0) * factor, height: (image?.height ?? 0) * factor, ...words };
    });
    const tall = Math.max(0, ...scaled.map(({ height }) => height));
    for (const [column, { image, width, height, first, second }] of scaled.entries()) {
      const x = column * (cell + gap);
      if (image !== undefined) {
        const size = `x="${(x + (cell - width) / 2).toFixed(1)}" y="${(y + tall - height).toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}"`;
        const title = `<title>${escapeMarkup(`${first}: ${second}`)}</title>`;
        body.push(`<image ${size} href="${dataUri(await encode(image))}">${title}</image>`);
      }
      const fit = (words: string) => truncate(words, cell / 12.5, ems);
      body.push(
        label(x, y + tall + 15, fit(first), { size: 12, weight: 600, attributes: solid(INK[theme]) }),
        label(x, y + tall + 30, fit(second), { size: 11, attributes: solid(MUTED[theme]) }),
      );
    }
    if (line.length > 0) y += tall + text + gap;
    line = [];
  };
  const place = async (image: Cell['image'], first: string, second: string) => {
    line.push({ image, first, second });
    if (line.length === columns) await flush();
  };
  for (const { title, picture, explanations } of rows) {
    const drawn = explanations.map((explanation) => {
      const subject = subjectOf(explanation, { ...options, ...(picture && { picture }) });
      return subject.kind === 'image'
        ? {
            images: drawImages(explanation, subject, 2 * cell, 2 * cell, options.view),
            limit: subject.scores.scale.limit,
          }
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
    if (!single) await flush();
  }
  await flush();
  const height = Math.max(1, y - gap);
  const drawing = { width: columns * (cell + gap) - gap, height, body: body.join('') };
  return svgDocument(drawing, { theme, margin: 20, title: rows.map(({ title }) => title).join(', '), lang: 'en' });
}

interface Cell {
  readonly image: Parameters<PngEncoder>[0] | undefined;
  readonly first: string;
  readonly second: string;
}

function predicted(explanation: Explanation | undefined): string {
  const top = explanation?.predictions?.[0];
  return top === undefined ? '' : `${top.label} ${(top.value * 100).toFixed(0)} %`;
}
