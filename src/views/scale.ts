import { contrast, mix, oklch, readableOn } from './color.ts';
import type { Rgb } from './color.ts';

export type Theme = 'light' | 'dark';

/**
 * How scores become colours.
 * `diverging`: signed scores; zero is the page's own colour, orange supports the target, blue opposes it, and
 * both hues have the same lightness at the same |score|, so that they stay apart for every kind of colour blindness.
 * `sequential`: strengths without a sign; purple, darker (on a dark page: lighter) is stronger.
 */
export type ScaleKind = 'diverging' | 'sequential';

export interface Scale {
  readonly kind: ScaleKind;
  /** The |score| that gets the full colour; larger ones look the same. Always positive. */
  readonly limit: number;
  /** Where the limit came from: 100 for the largest |score|, 99 for the 99th percentile. */
  readonly percentile: number;
  /** How many scores lie beyond the limit. */
  readonly clipped: number;
  /** How many scores are NaN or infinite; they are drawn grey. */
  readonly invalid: number;
}

/** A scale centred at zero whose limit is the given percentile of |score| (default 100: the largest). */
export function makeScale(scores: ArrayLike<number>, kind: ScaleKind, percentile = 100): Scale {
  const sizes = Float64Array.from(scores, Math.abs).filter(Number.isFinite).sort();
  const largest = sizes.at(-1) ?? 0;
  const rank = Math.ceil((percentile / 100) * sizes.length) - 1;
  const robust = sizes[Math.min(sizes.length - 1, Math.max(0, rank))] ?? 0;
  // A sparse map can have a percentile of zero: then the largest is the only honest limit.
  const useRobust = robust > 0;
  const limit = useRobust ? robust : largest > 0 ? largest : 1;
  let clipped = 0;
  for (let i = sizes.length - 1; i >= 0 && sizes[i]! > limit; i--) clipped++;
  return {
    kind,
    limit,
    percentile: useRobust ? percentile : 100,
    clipped,
    invalid: scores.length - sizes.length,
  };
}

/** The score's place on the scale: -1 to 1 (diverging) or 0 to 1 (sequential); NaN stays NaN. */
export function position(scale: Scale, score: number): number {
  if (!Number.isFinite(score)) return Number.NaN;
  const t = Math.min(1, Math.max(-1, score / scale.limit));
  return scale.kind === 'sequential' ? Math.abs(t) : t;
}

/** Steps between zero and the limit in the colour tables and style sheets. */
export const LEVELS = 24;

/** The position as a whole number of steps: -24 to 24. */
export function levelOf(scale: Scale, score: number): number {
  const t = position(scale, score);
  return Number.isNaN(t) ? 0 : Math.round(t * LEVELS);
}

/** The style class of a level: `ox-p12` for, `ox-n3` against, `ox-u24` unsigned, `ox-0` for zero. */
export function levelClass(kind: ScaleKind, level: number): string {
  if (level === 0) return 'ox-0';
  return `ox-${kind === 'sequential' ? 'u' : level > 0 ? 'p' : 'n'}${Math.abs(level)}`;
}

export const PAPER: Readonly<Record<Theme, Rgb>> = { light: [255, 255, 255], dark: [20, 21, 24] };
export const INK: Readonly<Record<Theme, Rgb>> = { light: [26, 27, 30], dark: [232, 232, 230] };
export const MUTED: Readonly<Record<Theme, Rgb>> = { light: [95, 98, 105], dark: [163, 166, 172] };
export const HAIRLINE: Readonly<Record<Theme, Rgb>> = { light: [217, 219, 223], dark: [60, 62, 68] };
const INVALID: Rgb = [128, 128, 128];

const HUES = { positive: 55, negative: 252, unsigned: 305 } as const;
/** The chroma that both ends of the diverging scale can reach in sRGB. */
const CHROMA = 0.15;

/** Solid colours for marks (bars, outlines): contrast of 3 or more on both pages. */
export const MARKS: Readonly<Record<'positive' | 'negative' | 'unsigned', Rgb>> = {
  positive: oklch(0.64, CHROMA, HUES.positive),
  negative: oklch(0.62, CHROMA, HUES.negative),
  unsigned: oklch(0.6, 0.16, HUES.unsigned),
};

/**
 * The fill for a position on the scale, behind text or in a heat map.
 * Zero is the page itself; on a light page colours darken to lightness 0.72, on a dark page they rise to 0.50, so the
 * page's own ink stays readable on every cell.
 */
export function fill(kind: ScaleKind, t: number, theme: Theme): Rgb {
  if (Number.isNaN(t)) return INVALID;
  const size = Math.min(1, Math.abs(t));
  if (size === 0) return PAPER[theme];
  const hue = kind === 'sequential' ? HUES.unsigned : t > 0 ? HUES.positive : HUES.negative;
  return theme === 'light'
    ? oklch(1 - 0.28 * size, CHROMA * size, hue)
    : mix(PAPER.dark, oklch(0.5, 0.13, hue), size ** 0.8);
}

export interface Cell {
  readonly background: Rgb;
  readonly text: Rgb;
}

/** Background and text colour for a score; the text has a contrast of at least 4.5 (WCAG AA). */
export function cellColors(scale: Scale, score: number, theme: Theme): Cell {
  return levelColors(scale.kind, position(scale, score), theme);
}

/** As `cellColors`, for a position on the scale. */
export function levelColors(kind: ScaleKind, t: number, theme: Theme): Cell {
  const background = fill(kind, t, theme);
  // The page's own ink where it reads, so that coloured and plain text look the same.
  return { background, text: contrast(INK[theme], background) >= 4.5 ? INK[theme] : readableOn(background) };
}

/** What is drawn with a scale: cells behind text, a heat map alone, or colour over a grey picture. */
export type Ramp = 'cells' | 'heat' | 'overlay';

/** The colour a legend shows at a position; for an overlay, what the score looks like on mid grey. */
export function rampColor(ramp: Ramp, kind: ScaleKind, t: number, theme: Theme): Rgb {
  if (ramp === 'cells') return fill(kind, t, theme);
  return ramp === 'heat' ? heat(kind, t) : mix([190, 190, 190], vivid(kind, t), overlayOpacity(t));
}

/** Opacity of a score's colour over the picture: 0 at zero, 0.9 at the limit, rising faster at first. */
export function overlayOpacity(t: number): number {
  return Number.isNaN(t) ? 0 : 0.9 * Math.min(1, Math.abs(t)) ** 0.75;
}

/**
 * A colour table for pixel buffers: 255 RGB colours (entry 127 is zero, entry 254 the limit) in one byte array.
 * `heat` is drawn alone: white at zero, deep colours at the ends. `overlay` goes over a grey picture: full colour
 * everywhere, strength is the opacity's business.
 */
export function colorTable(kind: ScaleKind, ramp: 'heat' | 'overlay'): Uint8Array {
  const table = new Uint8Array(255 * 3);
  for (let entry = 0; entry < 255; entry++) {
    const t = (entry - 127) / 127;
    table.set(ramp === 'heat' ? heat(kind, t) : vivid(kind, t), entry * 3);
  }
  return table;
}

function heat(kind: ScaleKind, t: number): Rgb {
  const size = Math.abs(t);
  const hue = kind === 'sequential' ? HUES.unsigned : t > 0 ? HUES.positive : HUES.negative;
  return oklch(1 - 0.55 * size, Math.min(CHROMA, 0.32 * size) * (1 - 0.25 * size * size), hue);
}

function vivid(kind: ScaleKind, t: number): Rgb {
  const hue = kind === 'sequential' ? HUES.unsigned : t >= 0 ? HUES.positive - 8 : HUES.negative;
  return oklch(0.7 - 0.08 * Math.abs(t), 0.19, hue);
}

/** The colour table's entry for a position; NaN gives the entry of zero. */
export function tableEntry(t: number): number {
  return Number.isNaN(t) ? 127 : 127 + Math.round(127 * Math.min(1, Math.max(-1, t)));
}
