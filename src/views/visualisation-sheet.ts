import type { UnitPicture, VisualisedUnit, Visualisation } from '../visualisation/index.ts';
import { escapeMarkup } from './escape.ts';
import { formatNumber } from './format.ts';
import { wrapText } from './legend.ts';
import { LANGUAGE_TAGS } from './messages.ts';
import type { Language } from './messages.ts';
import { dataUri, encodePng } from './png.ts';
import type { PngEncoder } from './png.ts';
import { reportStyle } from './report-style.ts';
import { INK, MUTED } from './scale.ts';
import type { Theme } from './scale.ts';
import { label, solid, svgDocument } from './svg.ts';
import type { Drawing } from './svg.ts';
import { VISUALISATION_TITLES, visualisationNotes } from './visualisation-words.ts';
import { warningText } from './warnings.ts';
import { ems, truncate } from './width.ts';

export interface VisualisationSheetOptions {
  /** Default `en`. */
  readonly language?: Language;
  readonly theme?: Theme;
  /** Side of a picture in user units. Default 224; of patches 96. */
  readonly cell?: number;
  /** Pictures beside one another, where each unit has one. Default 4. */
  readonly across?: number;
  readonly encodePng?: PngEncoder;
}

type Shown = Pick<Visualisation, 'units' | 'method'> & Partial<Pick<Visualisation, 'options' | 'layer'>>;

const GAP = 14;

/**
 * The pictures of a visualisation on one page, as an SVG document: below each its unit, and its value before and after. Units with
 * several pictures have a row each, strongest first. At the foot what the numbers are.
 */
export async function visualisationSheet(shown: Shown, options: VisualisationSheetOptions = {}): Promise<string> {
  const { theme = 'light', language = 'en' } = options;
  const drawing = await sheetDrawing(shown, options);
  const title = VISUALISATION_TITLES[shown.method][language];
  return svgDocument(drawing, { theme, margin: 20, title, lang: LANGUAGE_TAGS[language] });
}

/** The same as a page of its own, with the model, its layer and what to know. It asks the network for nothing. */
export async function visualisationHtml(
  shown: Visualisation,
  options: VisualisationSheetOptions = {},
): Promise<string> {
  const { language = 'en' } = options;
  const title = escapeMarkup(VISUALISATION_TITLES[shown.method][language]);
  const svg = svgDocument(await sheetDrawing(shown, { ...options, theme: 'light' }), {
    theme: 'light',
    title: VISUALISATION_TITLES[shown.method][language],
  });
  const warnings = shown.warnings.map((warning) => {
    const said = warningText(warning, language);
    return `<p lang="${LANGUAGE_TAGS[said.language]}">${escapeMarkup(said.text)}</p>`;
  });
  return `<!doctype html>
<html lang="${LANGUAGE_TAGS[language]}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${title}</title><style>${reportStyle()}</style></head>
<body><main class="page"><header><h1>${title}</h1><p>${escapeMarkup(`${shown.model.path} · ${shown.layer}`)}</p></header>${warnings.join('')}<figure style="margin:0;overflow-x:auto">${svg}</figure></main></body></html>
`;
}

async function sheetDrawing(shown: Shown, options: VisualisationSheetOptions): Promise<Drawing> {
  const { theme = 'light', language = 'en' } = options;
  const rows = shown.units.some(({ pictures }) => pictures.length > 1) || shown.method === 'top-patches';
  const sheet = rows ? await rowsOf(shown.units, options) : await gridOf(shown.units, options);
  const { options: settings = {}, layer = '' } = shown;
  const width = Math.max(sheet.width, 320);
  const notes = visualisationNotes({ method: shown.method, options: settings, layer }, language);
  const lines = notes.flatMap((note) => wrapText(note, width / 12, ems));
  const foot = lines.map((text, at) =>
    label(0, sheet.height + 22 + 16 * at, text, { size: 11, attributes: solid(MUTED[theme]) }),
  );
  return { width, height: sheet.height + 14 + 16 * lines.length, body: sheet.body + foot.join('') };
}

/** One picture of each unit, in a grid. */
async function gridOf(
  units: readonly VisualisedUnit[],
  { theme = 'light', cell = 224, across = 4, encodePng: encode = encodePng }: VisualisationSheetOptions,
): Promise<Drawing> {
  const drawn = units.flatMap(({ label: name, pictures }) => pictures.map((picture) => ({ name, picture })));
  const columns = Math.max(1, Math.min(across, drawn.length));
  const text = 36;
  const body: string[] = [];
  const tall = tallest(
    drawn.map(({ picture }) => picture),
    cell,
  );
  for (const [at, { name, picture }] of drawn.entries()) {
    const [x, y] = [(at % columns) * (cell + GAP), Math.floor(at / columns) * (tall + text + GAP)];
    const values = [picture.startValue, picture.value].flatMap((each) =>
      each === undefined ? [] : [formatNumber(each, 3)],
    );
    const fit = (words: string) => truncate(words, cell / 12.5, ems);
    body.push(
      await imageOf(picture, x, y, cell, encode),
      label(x, y + tall + 15, fit(name), { size: 12, weight: 600, attributes: solid(INK[theme]) }),
      label(x, y + tall + 30, fit(values.join(' → ')), { size: 11, attributes: solid(MUTED[theme]) }),
    );
  }
  const rows = Math.max(1, Math.ceil(drawn.length / columns));
  return { width: columns * (cell + GAP) - GAP, height: rows * (tall + text + GAP) - GAP, body: body.join('') };
}

/** A row of pictures for each unit. */
async function rowsOf(
  units: readonly VisualisedUnit[],
  { theme = 'light', cell = 96, encodePng: encode = encodePng }: VisualisationSheetOptions,
): Promise<Drawing> {
  const body: string[] = [];
  const most = Math.max(1, ...units.map(({ pictures }) => pictures.length));
  const width = most * (cell + 8) - 8;
  let y = 0;
  for (const { label: name, pictures } of units) {
    const fitted = truncate(name, width / 12.5, ems);
    body.push(label(0, y + 12, fitted, { size: 12, weight: 600, attributes: solid(INK[theme]) }));
    const tall = tallest(pictures, cell);
    for (const [at, picture] of pictures.entries()) {
      const x = at * (cell + 8);
      const value = label(x, y + 20 + tall + 14, formatNumber(picture.value, 3), {
        size: 11,
        attributes: solid(MUTED[theme]),
      });
      body.push(await imageOf(picture, x, y + 20, cell, encode), value);
    }
    y += 20 + tall + 20 + GAP;
  }
  return { width, height: Math.max(1, y - GAP), body: body.join('') };
}

/** Height of the highest of pictures whose longer side is a cell's. */
const tallest = (pictures: readonly UnitPicture[], cell: number): number =>
  Math.max(1, ...pictures.map(({ width, height }) => (cell * height) / Math.max(width, height)));

async function imageOf(
  { width, height, data, source }: UnitPicture,
  x: number,
  y: number,
  cell: number,
  encode: PngEncoder,
): Promise<string> {
  const rgba = new Uint8Array(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) rgba.set(data.subarray(pixel * 3, pixel * 3 + 3), pixel * 4);
  const factor = cell / Math.max(width, height);
  const href = dataUri(await encode({ width, height, data: rgba }));
  const name = source?.path?.split(/[/\\]/).at(-1);
  const title = name === undefined ? '' : `<title>${escapeMarkup(name)}</title>`;
  const size = `x="${x}" y="${y}" width="${(width * factor).toFixed(1)}" height="${(height * factor).toFixed(1)}"`;
  return `<image ${size} href="${href}">${title}</image>`;
}
