/** Superpixels: regions of like colour, for methods that take parts of a picture away. */

export interface Superpixels {
  /** Number of each pixel's superpixel, from 0, row by row. */
  readonly labels: Int32Array;
  /** [row, column] of each one's middle. */
  readonly centres: readonly (readonly [number, number])[];
}

/** Dims of a picture [channels, height, width]. */
export interface Plane {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Superpixels of any numbers: from 0 in the order in which they appear. */
export function centresOf(names: Int32Array, width: number): Superpixels {
  const numbers = new Map<number, number>();
  const sums: { y: number; x: number; count: number }[] = [];
  const labels = Int32Array.from(names, (name, pixel) => {
    let label = numbers.get(name);
    if (label === undefined) {
      label = numbers.size;
      numbers.set(name, label);
      sums.push({ y: 0, x: 0, count: 0 });
    }
    const sum = sums[label]!;
    sum.y += Math.floor(pixel / width);
    sum.x += pixel % width;
    sum.count++;
    return label;
  });
  return { labels, centres: sums.map(({ y, x, count }) => [y / count, x / count] as const) };
}

/** Each channel smoothed by a Gaussian cut off at four sigmas; edges reflect, the edge pixel counted twice. */
export function gaussian(picture: Float32Array, { channels, height, width }: Plane, sigma: number): Float64Array {
  let values = Float64Array.from(picture);
  if (!(sigma > 0)) return values;
  const radius = Math.floor(4 * sigma + 0.5);
  const kernel = Array.from({ length: 2 * radius + 1 }, (_, at) => Math.exp(-((at - radius) ** 2) / (2 * sigma ** 2)));
  const total = kernel.reduce((sum, weight) => sum + weight, 0);
  const reflect = (at: number, length: number): number => {
    const around = ((at % (2 * length)) + 2 * length) % (2 * length);
    return around < length ? around : 2 * length - 1 - around;
  };
  for (const down of [true, false]) {
    const smoothed = new Float64Array(values.length);
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          let sum = 0;
          for (let k = -radius; k <= radius; k++) {
            const [v, u] = down ? [reflect(y + k, height), x] : [y, reflect(x + k, width)];
            sum += kernel[k + radius]! * values[(c * height + v) * width + u]!;
          }
          smoothed[(c * height + y) * width + x] = sum / total;
        }
    values = smoothed;
  }
  return values;
}
