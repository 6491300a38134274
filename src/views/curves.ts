import type { PixelCurve, PixelCurves } from '../evaluation/index.ts';
import { toHex } from './color.ts';
import { escapeMarkup } from './escape.ts';
import { formatNumber, formatPercent, ticks } from './format.ts';
import { fitPicture } from './image-overlay.ts';
import type { RgbPicture } from './image-overlay.ts';
import { wrapText } from './legend.ts';
import { LANGUAGE_TAGS, MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import { dataUri, encodePng } from './png.ts';
import type { PngEncoder } from './png.ts';
import { reportStyle } from './report-style.ts';
import { INK, MARKS, MUTED } from './scale.ts';
import type { Theme } from './scale.ts';
import { at, label, line, solid, svgDocument, tone } from './svg.ts';
import type { Drawing } from './svg.ts';
import { ems, truncate } from './width.ts';

export interface CurveOptions {
  /** Of what the curves are: a method, or a method and a class. */
  readonly title: string;
  /** Default `en`. */
  readonly language?: Language;
  readonly theme?: Theme;
  /** Longer side of the pictures in pixels; they are never enlarged. Default: as the model sees them. */
  readonly side?: number;
  /** Seconds one run through takes. Default 8. */
  readonly seconds?: number;
  readonly encodePng?: PngEncoder;
}

/** Side of the pictures, and size of the plots below them, in user units. */
const SIDE = 224;
const PLOT = { height: 120, left: 34 };
const GAP = 40;

/**
 * Deletion and insertion curves as an SVG document that moves: what the model sees runs along with a mark on each curve. It is animated by
 * its own style sheet alone, stands still at a half where a reader asks for less motion, and shows the whole curves everywhere.
 */
export async function curvesSvg(curves: PixelCurves, options: CurveOptions): Promise<string> {
  const { theme = 'light', language = 'en', title } = options;
  const drawing = await curvesDrawing(curves, options);
  return svgDocument(drawing, { theme, margin: 20, title, lang: LANGUAGE_TAGS[language] });
}

/** The same on a page of its own; it asks the network for nothing. */
export async function curvesHtml(curves: PixelCurves, options: CurveOptions): Promise<string> {
  const { language = 'en', title } = options;
  const svg = svgDocument(await curvesDrawing(curves, { ...options, theme: 'light' }), { theme: 'light', title });
  return `<!doctype html>
<html lang="${LANGUAGE_TAGS[language]}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeMarkup(title)}</title><style>${reportStyle()}</style></head>
<body><main class="page"><header><h1>${escapeMarkup(title)}</h1></header><figure style="margin:0;overflow-x:auto">${svg}</figure></main></body></html>
`;
}

async function curvesDrawing(
  { unit, shares, deletion, insertion }: PixelCurves,
  {
    title,
    theme = 'light',
    language = 'en',
    seconds = 8,
    side = Infinity,
    encodePng: encode = encodePng,
  }: CurveOptions,
): Promise<Drawing> {
  const words = MESSAGES[language].curves;
  const most = Math.max(...deletion.values, ...insertion.values);
  const least = Math.min(0, ...deletion.values, ...insertion.values);
  const span = { least, most: most > least ? most : least + 1 };
  const panels = [
    { name: words.deletion, curve: deletion, colour: MARKS.negative },
    { name: words.insertion, curve: insertion, colour: MARKS.positive },
  ];
  const body = [
    `<style>${movement(shares.length, seconds)}</style>`,
    label(0, 16, truncate(title, 34, ems), { size: 16, weight: 600, attributes: solid(INK[theme]) }),
  ];
  const top = 34;
  let height = 0;
  for (const [column, { name, curve, colour }] of panels.entries()) {
    const pictures = curve.pictures.map((picture) => fitPicture(picture, side));
    const panel = await panelOf(
      { ...curve, pictures },
      { name, colour: toHex(colour), shares, span, unit, theme, language, encode },
    );
    body.push(at(column * (PLOT.left + SIDE + GAP), top, panel));
    height = Math.max(height, panel.height);
  }
  const width = 2 * (PLOT.left + SIDE) + GAP;
  const lines = [words.shown, words.better, words.flaw].flatMap((each) => wrapText(each, width / 12, ems));
  body.push(
    ...lines.map((text, index) =>
      label(0, top + height + 24 + 16 * index, text, { size: 11, attributes: solid(MUTED[theme]) }),
    ),
  );
  return { width, height: top + height + 14 + 16 * lines.length, body: body.join('') };
}

/** One frame after another is seen, each for its part of the time. */
function movement(count: number, seconds: number): string {
  const delays = Array.from(
    { length: count },
    (_, frame) => `.ox-f${frame}{animation-delay:${((frame * seconds) / count).toFixed(3)}s}`,
  );
  const share = (100 / count).toFixed(3);
  return (
    `.ox-frame{visibility:hidden;animation:ox-run ${seconds}s step-end infinite}${delays.join('')}` +
    `@keyframes ox-run{0%{visibility:visible}${share}%{visibility:hidden}100%{visibility:hidden}}` +
    `@media (prefers-reduced-motion:reduce){.ox-frame{animation:none}.ox-f${count >> 1}{visibility:visible}}`
  );
}

async function panelOf(
  { values, area, pictures }: Pick<PixelCurve, 'values' | 'area'> & { readonly pictures: readonly RgbPicture[] },
  {
    name,
    colour,
    shares,
    span,
    unit,
    theme,
    language,
    encode,
  }: {
    readonly name: string;
    readonly colour: string;
    readonly shares: readonly number[];
    readonly span: { readonly least: number; readonly most: number };
    readonly unit: PixelCurves['unit'];
    readonly theme: Theme;
    readonly language: Language;
    readonly encode: PngEncoder;
  },
): Promise<Drawing> {
  const words = MESSAGES[language];
  const small = { size: 11, attributes: tone('muted', theme) } as const;
  const plotTop = SIDE + 52;
  const x = (share: number) => PLOT.left + share * SIDE;
  const y = (value: number) => plotTop + PLOT.height * (1 - (value - span.least) / (span.most - span.least));
  const points = shares.map((share, index) => `${x(share).toFixed(1)},${y(values[index]!).toFixed(1)}`).join(' ');
  const parts = [
    label(PLOT.left, SIDE + 20, name, { size: 13, weight: 600, attributes: solid(INK[theme]) }),
    label(PLOT.left, SIDE + 38, `${words.curves.area} ${formatNumber(area, 3)}`, small),
  ];
  for (const tick of ticks(span.least, span.most, 4))
    parts.push(
      line(PLOT.left, y(tick), PLOT.left + SIDE, y(tick), tone('hairline', theme, 'stroke')),
      label(PLOT.left - 6, y(tick) + 4, formatNumber(tick, 2), { ...small, anchor: 'end' }),
    );
  for (const tick of [0, 0.5, 1])
    parts.push(label(x(tick), plotTop + PLOT.height + 16, formatPercent(tick), { ...small, anchor: 'middle' }));
  const said = unit === 'probability' ? words.probability : words.value;
  parts.push(
    label(PLOT.left + SIDE / 2, plotTop + PLOT.height + 32, `${said} / ${words.curves.share}`, {
      ...small,
      anchor: 'middle',
    }),
    `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>`,
  );
  for (const [frame, { width, height, data }] of pictures.entries()) {
    const rgba = new Uint8Array(width * height * 4).fill(255);
    for (let pixel = 0; pixel < width * height; pixel++) rgba.set(data.subarray(pixel * 3, pixel * 3 + 3), pixel * 4);
    const factor = SIDE / Math.max(width, height);
    const [wide, tall] = [(width * factor).toFixed(1), (height * factor).toFixed(1)];
    const href = dataUri(await encode({ width, height, data: rgba }));
    const [cx, cy] = [x(shares[frame]!).toFixed(1), y(values[frame]!).toFixed(1)];
    const now = `${formatPercent(shares[frame]!)}: ${formatNumber(values[frame]!, 3)}`;
    parts.push(
      `<g class="ox-frame ox-f${frame}"><image x="${PLOT.left}" y="0" width="${wide}" height="${tall}" href="${href}"><title>${escapeMarkup(now)}</title></image>` +
        `<circle cx="${cx}" cy="${cy}" r="4.5" fill="${colour}"/>` +
        `${label(PLOT.left + SIDE, SIDE + 20, now, { size: 12, anchor: 'end', attributes: solid(INK[theme]) })}</g>`,
    );
  }
  return { width: PLOT.left + SIDE, height: plotTop + PLOT.height + 36, body: parts.join('') };
}
