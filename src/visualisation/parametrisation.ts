/** Pictures as something to optimise: what a gradient is taken in, and how a graph makes pixels of it. */
import { int } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import { normalRandom } from '../inputs/core.ts';
import type { Random } from '../inputs/core.ts';

/** The picture that is made: its size, and 3 for RGB or 1 for grey. */
export interface Canvas {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
}

export interface Parametrisation {
  /** `fourier`: complex amplitudes of the half spectrum, which makes all frequencies as easy to change; `pixels`: themselves. */
  readonly space: 'fourier' | 'pixels';
  /** Amplitudes are divided by frequency to this power; 1 is the spectrum of photographs. */
  readonly decay: number;
}

/**
 * The square root of the covariance of colours in ImageNet, as measured by Olah, Mordvintsev & Schubert 2017,
 * https://distill.pub/2017/feature-visualization, over its longest column: colours that vary independently here vary in
 * pictures as they do in photographs.
 */
const COLOURS: readonly (readonly number[])[] = [
  [0.26, 0.09, 0.02],
  [0.27, 0, -0.05],
  [0.27, -0.09, 0.03],
];
const LONGEST_COLUMN = Math.max(...[0, 1, 2].map((column) => Math.hypot(...COLOURS.map((row) => row[column]!))));
/** Standard deviation of what a picture starts from. */
const START = 0.01;
/** Contrast of what it starts from, as in Lucid. */
const CONTRAST = 1 / 4;

/** Dims of what is optimised, for one picture: real parts over imaginary parts of each frequency, or pixels. */
export function parameterDims({ height, width, channels }: Canvas, { space }: Parametrisation): readonly number[] {
  return space === 'pixels' ? [channels, height, width] : [channels, 2 * height, Math.floor(width / 2) + 1];
}

/** Parameters of a picture of faint noise. */
export function startingPoint(size: number, random: Random): Float32Array {
  const normal = normalRandom(random);
  return Float32Array.from({ length: size }, () => START * normal());
}

/** Appends the picture [rows, C, H, W] that parameters [rows, ...] stand for, from 0 to 1. */
export function paint(
  b: GraphBuilder,
  parameters: ValueName,
  canvas: Canvas,
  parametrisation: Parametrisation,
): ValueName {
  const { height, width, channels } = canvas;
  const plain =
    parametrisation.space === 'pixels' ? parameters : inverseFourier(b, parameters, canvas, parametrisation.decay);
  if (channels === 1) return b.op('Sigmoid', [plain]);
  const flat = b.op('Reshape', [plain, b.int64s([-1, 3, height * width])], {}, { dims: ['rows', 3, height * width] });
  const mix = b.constant(
    'float32',
    [3, 3],
    COLOURS.flatMap((row) => row.map((each) => each / LONGEST_COLUMN)),
  );
  const coloured = b.op('MatMul', [mix, flat], {}, { dims: ['rows', 3, height * width] });
  const picture = b.op(
    'Reshape',
    [coloured, b.int64s([-1, 3, height, width])],
    {},
    { dims: ['rows', 3, height, width] },
  );
  return b.op('Sigmoid', [picture]);
}

/**
 * The real inverse Fourier transform as two products with matrices of cosines and sines, first down the columns, then
 * along the lines. [rows, C, 2 H, W / 2 + 1] to [rows, C, H, W].
 */
function inverseFourier(b: GraphBuilder, spectrum: ValueName, canvas: Canvas, decay: number): ValueName {
  const { height, width, channels } = canvas;
  const half = Math.floor(width / 2) + 1;
  const scaled = b.mul(spectrum, scales(b, canvas, decay));
  const down = waves(b, height, height);
  // (C + i S)(R + i I): the real part from [C, -S], the imaginary one from [S, C].
  const real = b.matmul(b.concat([down.cosines, b.neg(down.sines)], 1), scaled);
  const imaginary = b.matmul(b.concat([down.sines, down.cosines], 1), scaled);
  // All but the lines' own mean and, where there is one, their highest frequency stand for two conjugates.
  const twice = b.constant(
    'float32',
    [half, 1],
    Array.from({ length: half }, (_, k) => (k === 0 || 2 * k === width ? 1 : 2)),
  );
  const along = waves(b, half, width, width);
  const sum = b.sub(b.matmul(real, b.mul(along.cosines, twice)), b.matmul(imaginary, b.mul(along.sines, twice)));
  return b.op('Identity', [sum], {}, { dims: ['rows', channels, height, width] });
}

/** Cosines and sines of 2 pi k n / period for k below `rows` and n below `columns`, computed by the graph. */
function waves(b: GraphBuilder, rows: number, columns: number, period = columns) {
  const numbers = (count: number, dims: readonly number[]) =>
    b.constant(
      'float32',
      dims,
      Array.from({ length: count }, (_, at) => at),
    );
  const length = b.constant('float32', [], [period]);
  const turns = b.mul(numbers(rows, [rows, 1]), numbers(columns, [1, columns]));
  // Whole turns are taken out first: their cosines would lose digits.
  const rest = b.sub(turns, b.mul(b.op('Floor', [b.div(turns, length)]), length));
  const angle = b.mul(rest, b.constant('float32', [], [(2 * Math.PI) / period]));
  return { cosines: b.op('Cos', [angle]), sines: b.op('Sin', [angle]) };
}

/** What each amplitude is multiplied by, with which the transform is orthonormal: [2 H, W / 2 + 1]. */
function scales(b: GraphBuilder, { height, width }: Canvas, decay: number): ValueName {
  const half = Math.floor(width / 2) + 1;
  const lowest = 1 / Math.max(height, width);
  const norm = CONTRAST / Math.sqrt(height * width);
  const values: number[] = [];
  for (let part = 0; part < 2; part++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < half; x++) {
        const frequency = Math.hypot(Math.min(y, height - y) / height, x / width);
        values.push(norm / Math.max(frequency, lowest) ** decay);
      }
  return b.constant('float32', [2 * height, half], values);
}

/**
 * Appends each picture [rows, C, H, W] seen through an affine map, bilinearly; grey lies beyond its edges.
 * `maps` [rows, 6] = a, b, c, d, e, f: the pixel at (y, x) from the middle is taken from (a y + b x + c, d y + e x + f) from the middle.
 */
export function transformed(b: GraphBuilder, picture: ValueName, maps: ValueName, canvas: Canvas): ValueName {
  const { height, width, channels } = canvas;
  const places = height * width;
  const entries = b.emit(
    'Split',
    [maps],
    { axis: int(1), num_outputs: int(6) },
    {
      outputs: 6,
      facts: Array.from({ length: 6 }, () => ({ type: 'float32' as const, dims: ['rows', 1] })),
    },
  );
  const [middleY, middleX] = [(height - 1) / 2, (width - 1) / 2];
  const line = (length: number, middle: number, dims: readonly number[]) =>
    b.constant(
      'float32',
      dims,
      Array.from({ length }, (_, at) => at - middle),
    );
  const [y, x] = [line(height, middleY, [height, 1]), line(width, middleX, [1, width])];
  const entry = (at: number) => b.unsqueeze(entries[at]!, [2]);
  const from = (first: number, middle: number) =>
    b.add(
      b.add(b.add(b.mul(entry(first), y), b.mul(entry(first + 1), x)), entry(first + 2)),
      b.constant('float32', [], [middle]),
    );
  const sourceY = from(0, middleY);
  const sourceX = from(3, middleX);
  const one = b.constant('float32', [], [1]);
  const [top, left] = [b.op('Floor', [sourceY]), b.op('Floor', [sourceX])];
  const [down, across] = [b.sub(sourceY, top), b.sub(sourceX, left)];
  const grey = b.constant('float32', [], [0.5]);
  const flat = b.op(
    'Reshape',
    [b.sub(picture, grey), b.int64s([-1, channels, places])],
    {},
    { dims: ['rows', channels, places] },
  );
  const taps = [
    [top, left, b.mul(b.sub(one, down), b.sub(one, across))],
    [top, b.add(left, one), b.mul(b.sub(one, down), across)],
    [b.add(top, one), left, b.mul(down, b.sub(one, across))],
    [b.add(top, one), b.add(left, one), b.mul(down, across)],
  ] as const;
  const seen = taps.map(([row, column, share]) => {
    const [withinY, withinX] = [within(b, row, height), within(b, column, width)];
    const inside = b.cast(b.and(b.equal(withinY, row), b.equal(withinX, column)), 'float32');
    const at = b.cast(b.add(b.mul(withinY, b.constant('float32', [], [width])), withinX), 'int64');
    const lines = (value: ValueName) =>
      b.op('Reshape', [value, b.int64s([-1, 1, places])], {}, { dims: ['rows', 1, places] });
    const index = b.op('Expand', [lines(at), b.shape(flat)], {}, { dims: ['rows', channels, places] });
    const taken = b.op('GatherElements', [flat, index], { axis: int(2) }, { dims: ['rows', channels, places] });
    return b.mul(taken, lines(b.mul(share, inside)));
  });
  const sum = seen.reduce((total, each) => b.add(total, each));
  const shaped = b.op(
    'Reshape',
    [sum, b.int64s([-1, channels, height, width])],
    {},
    {
      dims: ['rows', channels, height, width],
    },
  );
  return b.add(shaped, grey);
}

/** The nearest number from 0 to length - 1. */
function within(b: GraphBuilder, value: ValueName, length: number): ValueName {
  return b.op('Clip', [value, b.constant('float32', [], [0]), b.constant('float32', [], [length - 1])]);
}
