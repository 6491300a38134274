import type { Visualisation } from '../visualisation/index.ts';
import { formatNumber } from './format.ts';
import { dataUri, encodePng } from './png.ts';
import type { PngEncoder } from './png.ts';
import { INK, MUTED } from './scale.ts';
import type { Theme } from './scale.ts';
import { label, solid, svgDocument } from './svg.ts';
import { ems, truncate } from './width.ts';

export interface VisualisationSheetOptions {
  readonly theme?: Theme;
  /** Side of a picture in user units. Default 224. */
  readonly cell?: number;
  /** Pictures beside one another. Default 4. */
  readonly across?: number;
  readonly encodePng?: PngEncoder;
}

/** The pictures of a visualisation on one page, as an SVG document: below each its unit, and its value before and after. */
export async function visualisationSheet(
  { units, method }: Pick<Visualisation, 'units' | 'method'>,
  { theme = 'light', cell = 224, across = 4, encodePng: encode = encodePng }: VisualisationSheetOptions = {},
): Promise<string> {
  const drawn = units.flatMap(({ label: name, pictures }) => pictures.map((picture) => ({ name, picture })));
  const columns = Math.max(1, Math.min(across, drawn.length));
  const [gap, text] = [14, 36];
  const body: string[] = [];
  const tall = Math.max(1, ...drawn.map(({ picture: { width, height } }) => (cell * height) / Math.max(width, height)));
  for (const [at, { name, picture }] of drawn.entries()) {
    const { width, height, data, value, startValue } = picture;
    const rgba = new Uint8Array(width * height * 4).fill(255);
    for (let pixel = 0; pixel < width * height; pixel++) rgba.set(data.subarray(pixel * 3, pixel * 3 + 3), pixel * 4);
    const factor = cell / Math.max(width, height);
    const [x, y] = [(at % columns) * (cell + gap), Math.floor(at / columns) * (tall + text + gap)];
    const href = dataUri(await encode({ width, height, data: rgba }));
    const fit = (words: string) => truncate(words, cell / 12.5, ems);
    const values = [startValue, value].flatMap((each) => (each === undefined ? [] : [formatNumber(each, 3)]));
    body.push(
      `<image x="${x}" y="${y}" width="${(width * factor).toFixed(1)}" height="${(height * factor).toFixed(1)}" href="${href}"/>`,
      label(x, y + tall + 15, fit(name), { size: 12, weight: 600, attributes: solid(INK[theme]) }),
      label(x, y + tall + 30, fit(values.join(' → ')), { size: 11, attributes: solid(MUTED[theme]) }),
    );
  }
  const rows = Math.max(1, Math.ceil(drawn.length / columns));
  const drawing = {
    width: columns * (cell + gap) - gap,
    height: rows * (tall + text + gap) - gap,
    body: body.join(''),
  };
  return svgDocument(drawing, { theme, margin: 20, title: method, lang: 'en' });
}
