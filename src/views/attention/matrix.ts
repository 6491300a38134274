/** Matrices as pictures: cells become pixels of one image, never one element each. */
import { showControls } from '../escape.ts';
import { formatNumber, formatSigned } from '../format.ts';
import type { RgbaImage } from '../image-overlay.ts';
import type { PngEncoder } from '../png.ts';
import { dataUri } from '../png.ts';
import { colorTable, makeScale, position, rampColor, tableEntry } from '../scale.ts';
import type { Ramp, Scale, Theme } from '../scale.ts';
import { toHex } from '../color.ts';
import { label, rect, tone } from '../svg.ts';
import type { Drawing } from '../svg.ts';
import { ems, truncate } from '../width.ts';

/** Numbers by row and column. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: ArrayLike<number>;
}

export interface Frame {
  readonly theme: Theme;
  readonly encodePng: PngEncoder;
}

/** One scale for all matrices of a figure: signed where any number is negative. */
export function scaleOf(matrices: readonly Matrix[]): Scale {
  let [size, signed] = [0, false];
  for (const { data } of matrices)
    for (let at = 0; at < data.length; at++) {
      if (Math.abs(data[at]!) > size) size = Math.abs(data[at]!);
      if (data[at]! < -1e-9) signed = true;
    }
  return makeScale([size], signed ? 'diverging' : 'sequential');
}

/** A matrix as an image of `zoom` pixels per cell. */
export function rasterise({ rows, columns, data }: Matrix, scale: Scale, zoom: number): RgbaImage {
  const table = colorTable(scale.kind, 'heat');
  const [width, height] = [columns * zoom, rows * zoom];
  const pixels = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const score = data[Math.floor(y / zoom) * columns + Math.floor(x / zoom)]!;
      const from = 3 * tableEntry(position(scale, score));
      pixels.set(table.subarray(from, from + 3), 4 * (y * width + x));
      pixels[4 * (y * width + x) + 3] = 255;
    }
  return { width, height, data: pixels };
}

/** A matrix in a frame, `width` by `height` user units. */
export async function matrixPicture(
  matrix: Matrix,
  scale: Scale,
  { width, height, theme, encodePng }: Frame & { readonly width: number; readonly height: number },
): Promise<Drawing> {
  if (matrix.rows === 0 || matrix.columns === 0) return { width, height, body: '' };
  // Enough pixels per cell that no viewer has to smooth, and no more.
  const zoom = Math.max(1, Math.min(16, Math.ceil((2 * width) / matrix.columns)));
  const uri = dataUri(await encodePng(rasterise(matrix, scale, zoom)));
  const body =
    `<image x="0" y="0" width="${width}" height="${height}" preserveAspectRatio="none" image-rendering="optimizeSpeed" href="${uri}"/>` +
    rect(0, 0, width, height, `fill="none" ${tone('hairline', theme, 'stroke')}`);
  return { width, height, body };
}

export interface MatrixAxes {
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly rowTitle: string;
  readonly columnTitle: string;
}

const SIZE = 11;
/** Labels longer than this many ems are cut. */
const LONGEST = 9;

/** A matrix with its labels: rows at the left, columns below, turned; every n-th where there are too many. */
export async function labelledMatrix(
  matrix: Matrix,
  scale: Scale,
  axes: MatrixAxes,
  /** `cell`: the most user units a cell gets; `rowHeight`: the least a row gets, so that each has its label. */
  frame: Frame & { readonly width: number; readonly cell?: number; readonly rowHeight?: number },
): Promise<Drawing> {
  const { theme, rowHeight = 0 } = frame;
  const rows = axes.rows.map(clean);
  const columns = axes.columns.map(clean);
  const left = Math.min(LONGEST, Math.max(1, ...rows.map(ems))) * SIZE + 30;
  const below = Math.min(LONGEST, Math.max(1, ...columns.map(ems))) * SIZE + 34;
  const width = frame.width - left;
  const cell = Math.min(width / matrix.columns, frame.cell ?? 34);
  const [w, h] = [cell * matrix.columns, Math.max(cell * matrix.rows, rowHeight * matrix.rows, 24)];
  const picture = await matrixPicture(matrix, scale, { ...frame, width: w, height: h });
  const small = { size: SIZE, attributes: tone('ink', theme) } as const;
  const muted = { size: SIZE, attributes: tone('muted', theme) } as const;
  const each = (count: number, room: number) => Math.max(1, Math.ceil((SIZE * 1.15 * count) / room));
  const [rowStep, columnStep] = [each(rows.length, h), each(columns.length, w)];
  const body = [
    `<g transform="translate(${left} 0)">${picture.body}</g>`,
    ...rows.map((text, at) =>
      at % rowStep === 0 ? label(left - 6, ((at + 0.5) * h) / matrix.rows + 4, text, { ...small, anchor: 'end' }) : '',
    ),
    ...columns.map((text, at) =>
      at % columnStep === 0
        ? turned(left + ((at + 0.5) * w) / matrix.columns + 4, h + 6, label(0, 0, text, { ...small, anchor: 'end' }))
        : '',
    ),
    turned(10, h / 2, label(0, 0, axes.rowTitle, { ...muted, anchor: 'middle' })),
    label(left + w / 2, h + below - 6, axes.columnTitle, { ...muted, anchor: 'middle' }),
  ].join('');
  return { width: frame.width, height: h + below, body };
}

function turned(x: number, y: number, text: string): string {
  return `<g transform="translate(${Math.round(x * 100) / 100} ${Math.round(y * 100) / 100}) rotate(-90)">${text}</g>`;
}

const clean = (text: string): string => truncate(showControls(text).replaceAll(/\s+/g, ' '), LONGEST, ems);

/** The colours of a heat map with their numbers and unit. */
export function heatLegend(
  scale: Scale,
  unit: string,
  { theme, width, ramp = 'heat' }: { readonly theme: Theme; readonly width: number; readonly ramp?: Ramp },
): Drawing {
  const signed = scale.kind === 'diverging';
  const steps = 49;
  const cells = Array.from({ length: steps }, (_, at) => {
    const t = signed ? (2 * at) / (steps - 1) - 1 : at / (steps - 1);
    const color = toHex(rampColor(ramp, scale.kind, t, theme));
    return rect((at * width) / steps, 0, width / steps + 0.3, 10, `fill="${color}" shape-rendering="crispEdges"`);
  }).join('');
  const small = { size: SIZE, attributes: tone('muted', theme) } as const;
  const body = [
    cells,
    rect(0, 0, width, 10, `fill="none" ${tone('hairline', theme, 'stroke')}`),
    label(0, 25, signed ? formatSigned(-scale.limit) : '0', small),
    signed ? label(width / 2, 25, '0', { ...small, anchor: 'middle' }) : '',
    label(width, 25, signed ? formatSigned(scale.limit) : formatNumber(scale.limit), { ...small, anchor: 'end' }),
    label(width / 2, 41, truncate(unit, width / 10, ems), { ...small, anchor: 'middle' }),
  ].join('');
  return { width, height: 46, body };
}
