/** An sRGB colour, each channel 0 to 255. */
export type Rgb = readonly [red: number, green: number, blue: number];

export const BLACK: Rgb = [0, 0, 0];
export const WHITE: Rgb = [255, 255, 255];

/** `#rrggbb`. */
export function toHex(color: Rgb): string {
  return `#${color.map((channel) => Math.round(channel).toString(16).padStart(2, '0')).join('')}`;
}

/**
 * A colour from OKLCH: lightness 0 to 1, chroma 0 to about 0.3, hue in degrees.
 * Chroma is reduced until the colour exists in sRGB; lightness and hue stay.
 */
export function oklch(lightness: number, chroma: number, hue: number): Rgb {
  const angle = (hue * Math.PI) / 180;
  for (let c = chroma; c > 0; c -= 0.002) {
    const linear = oklabToLinear(lightness, c * Math.cos(angle), c * Math.sin(angle));
    if (linear.every((channel) => channel >= -1e-4 && channel <= 1 + 1e-4)) return encode(linear);
  }
  return encode(oklabToLinear(lightness, 0, 0));
}

function oklabToLinear(L: number, a: number, b: number): [number, number, number] {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function encode(linear: readonly [number, number, number]): Rgb {
  return [encodeChannel(linear[0]), encodeChannel(linear[1]), encodeChannel(linear[2])];
}

/** The sRGB transfer function: linear 0..1 to 0..255. */
function encodeChannel(linear: number): number {
  const x = Math.min(1, Math.max(0, linear));
  return Math.round(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055));
}

function decodeChannel(channel: number): number {
  const x = channel / 255;
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
}

/** WCAG 2 relative luminance, 0 (black) to 1 (white). */
export function luminance([red, green, blue]: Rgb): number {
  return 0.2126 * decodeChannel(red) + 0.7152 * decodeChannel(green) + 0.0722 * decodeChannel(blue);
}

/** WCAG 2 contrast ratio, 1 to 21. AA asks 4.5 of text and 3 of graphics. */
export function contrast(a: Rgb, b: Rgb): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** Black or white, whichever reads better on the background; one of them always has a contrast of 4.58 or more. */
export function readableOn(background: Rgb): Rgb {
  return contrast(BLACK, background) >= contrast(WHITE, background) ? BLACK : WHITE;
}

/** `a` where weight is 0, `b` where it is 1. */
export function mix(a: Rgb, b: Rgb, weight: number): Rgb {
  return [a[0] + (b[0] - a[0]) * weight, a[1] + (b[1] - a[1]) * weight, a[2] + (b[2] - a[2]) * weight];
}

const CUBE = [0, 95, 135, 175, 215, 255];

/** The nearest of the 216 + 24 fixed colours of a 256-colour terminal. The first 16 depend on the theme and are not used. */
export function nearestXterm(color: Rgb): { readonly index: number; readonly color: Rgb } {
  const steps = color.map((channel) => nearestIndex(CUBE, channel)) as [number, number, number];
  const cube: Rgb = [CUBE[steps[0]]!, CUBE[steps[1]]!, CUBE[steps[2]]!];
  const greyStep = Math.min(23, Math.max(0, Math.round(((color[0] + color[1] + color[2]) / 3 - 8) / 10)));
  const grey: Rgb = [8 + 10 * greyStep, 8 + 10 * greyStep, 8 + 10 * greyStep];
  return distance(color, cube) <= distance(color, grey)
    ? { index: 16 + 36 * steps[0] + 6 * steps[1] + steps[2], color: cube }
    : { index: 232 + greyStep, color: grey };
}

function nearestIndex(values: readonly number[], wanted: number): number {
  let best = 0;
  for (let i = 1; i < values.length; i++)
    if (Math.abs(values[i]! - wanted) < Math.abs(values[best]! - wanted)) best = i;
  return best;
}

function distance(a: Rgb, b: Rgb): number {
  return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
}
