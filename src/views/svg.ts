import { toHex } from './color.ts';
import type { Rgb } from './color.ts';
import { escapeMarkup } from './escape.ts';
import { HAIRLINE, INK, MUTED, PAPER } from './scale.ts';
import type { Theme } from './scale.ts';

/** Metric-compatible faces first, so that the width estimates of `width.ts` hold; then the CJK faces. */
export const FONT =
  "Helvetica, Arial, 'Liberation Sans', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', sans-serif";

/** A drawing and its size in user units (CSS pixels at scale 1). */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  /** SVG elements; every colour is an attribute plus a class (`ox-ink`, `ox-muted`, ...) that a page may restyle. */
  readonly body: string;
}

/** The page's own colours as attribute and class. */
export function tone(
  name: 'ink' | 'muted' | 'hairline' | 'paper',
  theme: Theme,
  use: 'fill' | 'stroke' = 'fill',
): string {
  const color = { ink: INK, muted: MUTED, hairline: HAIRLINE, paper: PAPER }[name][theme];
  return `class="ox-${name}-${use}" ${use}="${toHex(color)}"`;
}

export function rect(x: number, y: number, width: number, height: number, attributes: string): string {
  return `<rect x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" ${attributes}/>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, attributes: string): string {
  return `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" ${attributes}/>`;
}

export interface TextStyle {
  readonly size: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly weight?: 400 | 600;
  readonly attributes: string;
}

/** One line of text; escapes it. */
export function label(x: number, y: number, text: string, style: TextStyle): string {
  const anchor = style.anchor === undefined || style.anchor === 'start' ? '' : ` text-anchor="${style.anchor}"`;
  const weight = style.weight === undefined || style.weight === 400 ? '' : ` font-weight="${style.weight}"`;
  return `<text x="${n(x)}" y="${n(y)}" font-size="${n(style.size)}"${anchor}${weight} ${style.attributes}>${escapeMarkup(text)}</text>`;
}

/** Text fill in a fixed colour. */
export function solid(color: Rgb): string {
  return `fill="${toHex(color)}"`;
}

/** A drawing moved to (x, y). */
export function at(x: number, y: number, drawing: Drawing): string {
  return `<g transform="translate(${n(x)} ${n(y)})">${drawing.body}</g>`;
}

/** Drawings below one another. */
export function stack(drawings: readonly Drawing[], gap: number): Drawing {
  let y = 0;
  const body = drawings
    .map((drawing, i) => {
      if (i > 0) y += gap;
      const placed = at(0, y, drawing);
      y += drawing.height;
      return placed;
    })
    .join('');
  return { width: Math.max(0, ...drawings.map(({ width }) => width)), height: y, body };
}

/** A complete SVG document with a margin, on the page's paper unless `transparent`. */
export function svgDocument(
  drawing: Drawing,
  options: {
    readonly theme: Theme;
    readonly title: string;
    readonly margin?: number;
    readonly transparent?: boolean;
    readonly lang?: string;
  },
): string {
  const margin = options.margin ?? 0;
  const width = Math.ceil(drawing.width + 2 * margin);
  const height = Math.ceil(drawing.height + 2 * margin);
  const paper = options.transparent ? '' : rect(0, 0, width, height, tone('paper', options.theme));
  const lang = options.lang === undefined ? '' : ` xml:lang="${options.lang}"`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img"${lang} font-family="${FONT}">` +
    `<title>${escapeMarkup(options.title)}</title>${paper}${at(margin, margin, drawing)}</svg>`
  );
}

function n(value: number): string {
  return String(Math.round(value * 100) / 100);
}
