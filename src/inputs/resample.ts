/**
 * Resizing of 8-bit pictures with Pillow's own arithmetic, because that is what image models were trained behind.
 *
 * sharp only decodes. Its kernels have the same names and nearly the same weights, but it shrinks by whole factors first
 * and places pixels otherwise: against Pillow, on a hard synthetic picture, single values were off by up to 16 levels of
 * 255 when reducing (0.5 to 1.3 on average), and by up to 150 when enlarging (found with sharp 0.35 and Pillow 13).
 */

/** An 8-bit picture, channels interleaved, rows from the top. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** Pillow's filters in the order of its numbers (`resample` in preprocessor_config.json). */
export const FILTERS = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;
export type Filter = (typeof FILTERS)[number];

/**
 * The picture at another size, equal to `PIL.Image.resize((width, height), filter)` in every byte. Reducing averages over
 * all pixels under the filter (antialias); `nearest` doesn't. Rows are resized first, then columns. (Pillow 13 turns that
 * round where height shrinks far more than width, which moves single values by a few levels; we keep the older order.)
 */
export function resample(image: Pixels, width: number, height: number, filter: Filter): Pixels {
  if (filter === 'nearest') return nearest(image, width, height);
  const wide = width === image.width ? image : resampleRows(image, width, KERNELS[filter]);
  return height === wide.height ? wide : resampleColumns(wide, height, KERNELS[filter]);
}

interface Kernel {
  readonly support: number;
  readonly at: (x: number) => number;
}

const KERNELS: { readonly [F in Exclude<Filter, 'nearest'>]: Kernel } = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at(x) {
      const distance = Math.abs(x);
      if (distance === 0) return 1;
      return distance >= 1 ? 0 : sinc(distance) * (0.54 + 0.46 * Math.cos(Math.PI * distance));
    },
  },
  bicubic: {
    support: 2,
    at(x) {
      const a = -0.5;
      const d = Math.abs(x);
      if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    },
  },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Weights are fixed-point numbers with this many bits after the point. */
const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

/** For each output place: the first input place and its weights. */
function weights(inSize: number, outSize: number, { support, at }: Kernel): { first: number; weights: Int32Array }[] {
  const scale = inSize / outSize;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  return Array.from({ length: outSize }, (_, out) => {
    const center = (out + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const end = Math.min(inSize, Math.trunc(center + reach + 0.5));
    const exact = Array.from({ length: end - first }, (_, k) => at((k + first - center + 0.5) * (1 / stretch)));
    let total = 0;
    for (const weight of exact) total += weight;
    return {
      first,
      weights: Int32Array.from(exact, (weight) => {
        const scaled = (total === 0 ? weight : weight / total) * (1 << PRECISION);
        return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
      }),
    };
  });
}

function resampleRows({ width, height, channels, data }: Pixels, newWidth: number, kernel: Kernel): Pixels {
  const out = new Uint8ClampedArray(newWidth * height * channels);
  for (const [x, { first, weights: w }] of weights(width, newWidth, kernel).entries())
    for (let y = 0; y < height; y++)
      for (let c = 0; c < channels; c++) {
        let sum = HALF;
        for (let k = 0, at = (y * width + first) * channels + c; k < w.length; k++, at += channels)
          sum += data[at]! * w[k]!;
        out[(y * newWidth + x) * channels + c] = sum >> PRECISION;
      }
  return { width: newWidth, height, channels, data: new Uint8Array(out.buffer) };
}

function resampleColumns({ width, height, channels, data }: Pixels, newHeight: number, kernel: Kernel): Pixels {
  const stride = width * channels;
  const out = new Uint8ClampedArray(newHeight * stride);
  const sums = new Int32Array(stride);
  for (const [y, { first, weights: w }] of weights(height, newHeight, kernel).entries()) {
    sums.fill(HALF);
    for (let k = 0; k < w.length; k++) {
      const weight = w[k]!;
      for (let at = 0, from = (first + k) * stride; at < stride; at++, from++) sums[at]! += data[from]! * weight;
    }
    for (let at = 0; at < stride; at++) out[y * stride + at] = sums[at]! >> PRECISION;
  }
  return { width, height: newHeight, channels, data: new Uint8Array(out.buffer) };
}

function nearest({ width, height, channels, data }: Pixels, newWidth: number, newHeight: number): Pixels {
  const columns = places(width, newWidth);
  const rows = places(height, newHeight);
  const out = new Uint8Array(newWidth * newHeight * channels);
  for (let y = 0, at = 0; y < newHeight; y++)
    for (let x = 0; x < newWidth; x++)
      for (let c = 0; c < channels; c++, at++) out[at] = data[(rows[y]! * width + columns[x]!) * channels + c]!;
  return { width: newWidth, height: newHeight, channels, data: out };
}

/** Pillow adds the step up place by place; so do we, for the same rounding. */
function places(inSize: number, outSize: number): number[] {
  const step = inSize / outSize;
  let at = step * 0.5;
  return Array.from({ length: outSize }, () => {
    const place = Math.min(inSize - 1, Math.trunc(at));
    at += step;
    return place;
  });
}
