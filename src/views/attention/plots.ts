/** Numbers per head: as a map of layers and heads, as dots by layer, as points on a plane. */
import { toHex } from '../color.ts';
import { formatNumber, ticks } from '../format.ts';
import { contrast } from '../color.ts';
import { BLACK, WHITE } from '../color.ts';
import { MARKS, position, rampColor } from '../scale.ts';
import type { Scale, Theme } from '../scale.ts';
import { label, line, rect, tone } from '../svg.ts';
import type { Drawing } from '../svg.ts';

/** Numbers of the heads of a layer. */
export interface LayerNumbers {
  readonly title: string;
  readonly layer: number;
  readonly numbers: readonly number[];
}

/** The head map: layers down, heads across, the number in its cell where there is room. */
export function headMap(
  layers: readonly LayerNumbers[],
  scale: Scale,
  words: { readonly heads: string },
  { width, theme, from = 0 }: { readonly width: number; readonly theme: Theme; readonly from?: number },
): Drawing {
  const left = 110;
  const most = Math.max(1, ...layers.map(({ numbers }) => numbers.length));
  const cell = Math.min(56, (width - left) / most);
  const height = Math.min(26, Math.max(14, cell * 0.62));
  const small = { size: 11, attributes: tone('muted', theme) } as const;
  const parts = [label(left - 8, 11, words.heads, { ...small, anchor: 'end' })];
  for (let head = 0; head < most; head++)
    parts.push(label(left + (head + 0.5) * cell, 11, String(head + from), { ...small, anchor: 'middle' }));
  layers.forEach(({ title, numbers }, row) => {
    const y = 18 + row * (height + 2);
    parts.push(label(left - 8, y + height / 2 + 4, title, { ...small, anchor: 'end' }));
    numbers.forEach((number, head) => {
      const color = rampColor('heat', scale.kind, position(scale, number), theme);
      parts.push(rect(left + head * cell, y, cell - 2, height, `rx="2" fill="${toHex(color)}"`));
      if (cell < 34) return;
      const ink = contrast(BLACK, color) >= contrast(WHITE, color) ? '#000000' : '#ffffff';
      const text = formatNumber(number, 2);
      parts.push(
        label(left + (head + 0.5) * cell - 1, y + height / 2 + 3.5, text, {
          size: 10,
          anchor: 'middle',
          attributes: `fill="${ink}"`,
        }),
      );
    });
  });
  return { width: left + most * cell, height: 18 + layers.length * (height + 2), body: parts.join('') };
}

/** A dot per head over its layer, and a line through the means. */
export function dotsByLayer(
  layers: readonly LayerNumbers[],
  words: { readonly layer: string; readonly unit: string },
  { width, theme }: { readonly width: number; readonly theme: Theme },
): Drawing {
  const [left, height] = [48, 220];
  const all = layers.flatMap(({ numbers }) => numbers).filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...all), Math.max(1e-12, ...all)];
  const y = (value: number) => 8 + (1 - (value - low) / (high - low)) * height;
  const x = (at: number) => left + ((at + 0.5) / layers.length) * (width - left);
  const step = Math.ceil((20 * layers.length) / (width - left));
  const small = { size: 11, attributes: tone('muted', theme) } as const;
  const mean = (numbers: readonly number[]) =>
    numbers.reduce((sum, each) => sum + each, 0) / Math.max(1, numbers.length);
  const path = layers.map(({ numbers }, at) => `${x(at).toFixed(1)},${y(mean(numbers)).toFixed(1)}`).join(' ');
  const body = [
    ...ticks(low, high, 5).flatMap((tick) => [
      line(left, y(tick), width, y(tick), tone('hairline', theme, 'stroke')),
      label(left - 6, y(tick) + 4, formatNumber(tick, 2), { ...small, anchor: 'end' }),
    ]),
    `<polyline points="${path}" fill="none" stroke-width="1.5" ${tone('muted', theme, 'stroke')}/>`,
    ...layers.flatMap(({ numbers }, at) =>
      numbers.map(
        (number) =>
          `<circle cx="${x(at).toFixed(1)}" cy="${y(number).toFixed(1)}" r="4" fill="${toHex(MARKS.unsigned)}" fill-opacity="0.65"/>`,
      ),
    ),
    ...layers.map(({ layer }, at) =>
      at % step === 0 ? label(x(at), height + 26, String(layer), { ...small, anchor: 'middle' }) : '',
    ),
    label(left + (width - left) / 2, height + 44, words.layer, { ...small, anchor: 'middle' }),
    `<g transform="translate(11 ${8 + height / 2}) rotate(-90)">${label(0, 0, words.unit, { ...small, anchor: 'middle' })}</g>`,
  ].join('');
  return { width, height: height + 50, body };
}

/** Colours of clusters: told apart by everyone in pairs, and by their labels beyond. */
const CLUSTERS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#7f7f7f', '#3d3d3d'];

/** Heads on a plane, labelled layer-head, coloured by cluster. */
export function headPlane(
  places: readonly {
    readonly layer: number;
    readonly head: number;
    readonly x: number;
    readonly y: number;
    readonly cluster: number;
  }[],
  words: { readonly cluster: (number: number) => string },
  { width, theme }: { readonly width: number; readonly theme: Theme },
): Drawing {
  const height = width * 0.66;
  const xs = places.map(({ x }) => x);
  const ys = places.map(({ y }) => y);
  const [left, right, bottom, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  // One unit is as long across as up: distances are what the plane is for.
  const unit = Math.min((width - 60) / (right - left || 1), (height - 30) / (top - bottom || 1));
  const px = (x: number) => width / 2 + (x - (left + right) / 2) * unit;
  const py = (y: number) => height / 2 - (y - (bottom + top) / 2) * unit;
  const color = (cluster: number) => CLUSTERS[cluster % CLUSTERS.length]!;
  const numbers = [...new Set(places.map(({ cluster }) => cluster))].sort((a, b) => a - b);
  const body = [
    rect(0, 0, width, height, `fill="none" ${tone('hairline', theme, 'stroke')}`),
    ...places.map(({ layer, head, x, y, cluster }) =>
      [
        `<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="4.5" fill="${color(cluster)}"/>`,
        label(px(x) + 6, py(y) + 3.5, `${layer}-${head}`, { size: 9, attributes: tone('muted', theme) }),
      ].join(''),
    ),
    ...numbers.map((cluster, at) =>
      [
        `<circle cx="${8 + (at % 6) * 100}" cy="${height + 18 + 20 * Math.floor(at / 6)}" r="4.5" fill="${color(cluster)}"/>`,
        label(18 + (at % 6) * 100, height + 22 + 20 * Math.floor(at / 6), words.cluster(cluster), {
          size: 11,
          attributes: tone('ink', theme),
        }),
      ].join(''),
    ),
  ].join('');
  return { width, height: height + 10 + 20 * Math.ceil(numbers.length / 6), body };
}
