import { centresOf } from './superpixels.ts';
import type { Plane, Superpixels } from './superpixels.ts';

export interface QuickshiftOptions {
  /** Weight of colour against place, 0 to 1. Default 0.2, as LIME has it. */
  readonly ratio?: number;
  /** Width of the Gaussian that densities are measured with, in pixels. Default 4. */
  readonly kernelSize?: number;
  /** Farther than this a pixel does not move. Default 200. */
  readonly maxDistance?: number;
}

/**
 * Quickshift: each pixel moves to the nearest one of higher density, in place and colour together; those that reach the same peak
 * are one superpixel. Colours of three channels are taken as sRGB from 0 to 1 and measured in CIE Lab, as in scikit-image.
 * Vedaldi & Soatto 2008, https://doi.org/10.1007/978-3-540-88693-8_52. Cost: (6 kernelSize)^2 steps for each pixel, twice.
 * @param picture [channels, height, width].
 */
export function quickshift(
  picture: Float32Array,
  { channels, height, width }: Plane,
  { ratio = 0.2, kernelSize = 4, maxDistance = 200 }: QuickshiftOptions = {},
): Superpixels {
  const area = height * width;
  const colours = channels === 3 ? labOf(picture, area) : Float64Array.from(picture, (value) => value * 100);
  for (let at = 0; at < colours.length; at++) colours[at]! *= ratio;
  const reach = Math.ceil(3 * kernelSize);
  const fall = -0.5 / kernelSize ** 2;
  const distance = (at: number, other: number, y: number, x: number): number => {
    let square = y * y + x * x;
    for (let c = 0; c < channels; c++) square += (colours[c * area + at]! - colours[c * area + other]!) ** 2;
    return square;
  };
  /** Calls `visit` with each pixel of the window around one, row by row. */
  const around = (at: number, visit: (other: number, square: number) => void): void => {
    const [y, x] = [Math.floor(at / width), at % width];
    for (let v = Math.max(0, y - reach); v <= Math.min(height - 1, y + reach); v++)
      for (let u = Math.max(0, x - reach); u <= Math.min(width - 1, x + reach); u++) {
        const other = v * width + u;
        visit(other, distance(at, other, v - y, u - x));
      }
  };
  const densities = new Float64Array(area);
  for (let at = 0; at < area; at++)
    around(at, (_, square) => {
      densities[at]! += Math.exp(square * fall);
    });
  const parents = new Int32Array(area);
  for (let at = 0; at < area; at++) {
    let [parent, closest] = [at, Infinity];
    around(at, (other, square) => {
      // Pixels of equal density, as on one colour, go to the first of them.
      const higher = densities[other]! > densities[at]! || (densities[other] === densities[at] && other < at);
      if (higher && square < closest) [parent, closest] = [other, square];
    });
    parents[at] = Math.sqrt(closest) > maxDistance ? at : parent;
  }
  const peaks = parents.map((parent) => {
    let peak = parent;
    while (parents[peak] !== peak) peak = parents[peak]!;
    return peak;
  });
  return centresOf(peaks, width);
}

/** sRGB from 0 to 1 as CIE Lab under D65, two degrees. */
function labOf(picture: Float32Array, area: number): Float64Array {
  const lab = new Float64Array(3 * area);
  const linear = (value: number) => (value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92);
  const bent = (value: number) => (value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116);
  for (let at = 0; at < area; at++) {
    const [r, g, b] = [linear(picture[at]!), linear(picture[area + at]!), linear(picture[2 * area + at]!)];
    const x = bent((0.412453 * r + 0.35758 * g + 0.180423 * b) / 0.95047);
    const y = bent(0.212671 * r + 0.71516 * g + 0.072169 * b);
    const z = bent((0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883);
    lab[at] = 116 * y - 16;
    lab[area + at] = 500 * (x - y);
    lab[2 * area + at] = 200 * (y - z);
  }
  return lab;
}
