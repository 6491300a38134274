/** Scores by row and column: pairs of tokens, dimensions of embeddings, units of a layer. */
import type { Explanation } from '../explanation/index.ts';
import { heatLegend, labelledMatrix } from './attention/matrix.ts';
import type { Frame } from './attention/matrix.ts';
import { terminalSafe } from './escape.ts';
import type { Messages } from './messages.ts';
import { methodFacts } from './method.ts';
import { makeScale } from './scale.ts';
import type { Scale } from './scale.ts';
import { stack } from './svg.ts';
import type { Drawing } from './svg.ts';
import { columns, truncate } from './width.ts';

/** A matrix of scores with the names of its rows and columns. */
export interface HeatMap {
  readonly name: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly data: ArrayLike<number>;
  readonly scale: Scale;
}

/** Methods whose scores are one matrix. */
const MAPPED = new Set(['integrated-hessians', 'first-derivative-saliency', 'variance-saliency', 'composition']);

export function heatMapOf(explanation: Explanation): HeatMap | undefined {
  const [only, ...others] = Object.entries(explanation.attributions);
  if (!MAPPED.has(explanation.method) || only === undefined || others.length > 0) return undefined;
  const [name, { dims, data }] = only;
  if (dims.length !== 2 || dims.includes(0)) return undefined;
  const names = (count: number) =>
    explanation.tokens?.length === count ? explanation.tokens : Array.from({ length: count }, (_, at) => String(at));
  const { kind } = methodFacts(explanation);
  return { name, rows: names(dims[0]!), columns: names(dims[1]!), data, scale: makeScale(data, kind, 99) };
}

/** The map with its labels and the colours' legend. */
export async function heatMapDrawing(
  { name, rows, columns: across, data, scale }: HeatMap,
  words: Messages,
  frame: Frame & { readonly width: number },
): Promise<Drawing> {
  const matrix = { rows: rows.length, columns: across.length, data };
  const axes = { rows, columns: across, rowTitle: words.token, columnTitle: name };
  return stack(
    [
      await labelledMatrix(matrix, scale, axes, { ...frame, rowHeight: 16 }),
      heatLegend(scale, words.score, { theme: frame.theme, width: Math.min(320, frame.width) }),
    ],
    12,
  );
}

const SHADES = ' ▁▂▃▄▅▆▇█';

/** A line for each row: how large the scores are along it, neighbouring columns put together where there are many. */
export function heatMapAnsi({ rows, columns: across, data, scale }: HeatMap, width: number): string {
  const labels = rows.map((row) => truncate(terminalSafe(row), 20, columns));
  const first = Math.max(...labels.map(columns));
  const bins = Math.max(1, Math.min(across.length, width - first - 3));
  return labels
    .map((text, row) => {
      const cells = Array.from({ length: bins }, (_, bin) => {
        const [from, to] = [Math.floor((bin * across.length) / bins), Math.floor(((bin + 1) * across.length) / bins)];
        let largest = 0;
        for (let at = from; at < to; at++) largest = Math.max(largest, Math.abs(data[row * across.length + at]!));
        return SHADES[Math.round(8 * Math.min(1, largest / scale.limit))];
      });
      return `${' '.repeat(first - columns(text))}${text} │${cells.join('')}`;
    })
    .join('\n');
}
