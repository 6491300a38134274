import { fill, position } from './scale.ts';
import { formatSigned } from './format.ts';
import type { ImageScores, ScoreMap } from './image-map.ts';
import { paint, padStart } from './tokens-ansi.ts';
import type { TerminalColor } from './tokens-ansi.ts';
import { columns } from './width.ts';

/**
 * The heat map in a terminal: one coloured cell of two columns per score, at most 32 cells and `width` columns wide.
 * Without colours: sums of scores over a grid of 6 by 6 regions; a map of at most 8 by 8 as it is.
 */
export function imageAnsi(
  scores: ImageScores,
  options: { readonly color: TerminalColor; readonly width: number },
): string {
  const { map, scale } = scores;
  if (options.color === 'none') {
    const whole = Math.max(map.width, map.height) <= 8;
    const grid = whole ? map : shrink(map, Math.min(6, map.width), Math.min(6, map.height), 'sum');
    const numbers = Array.from(grid.data, (score) => formatSigned(score));
    const size = Math.max(...numbers.map(columns)) + 2;
    return rows(grid, (i) => padStart(numbers[i]!, size));
  }
  const across = Math.max(1, Math.min(32, map.width, Math.floor(options.width / 2)));
  const down = Math.max(1, Math.round((across * map.height) / map.width));
  const grid = shrink(map, across, Math.min(down, map.height), 'strongest');
  return rows(grid, (i) => paint('  ', fill(scale.kind, position(scale, grid.data[i]!), 'light'), options.color));
}

function rows(grid: ScoreMap, cell: (i: number) => string): string {
  return Array.from({ length: grid.height }, (_, y) =>
    Array.from({ length: grid.width }, (_, x) => cell(y * grid.width + x)).join(''),
  ).join('\n');
}

function shrink(map: ScoreMap, width: number, height: number, by: 'sum' | 'strongest'): ScoreMap {
  const data = new Float64Array(width * height);
  for (let y = 0; y < map.height; y++)
    for (let x = 0; x < map.width; x++) {
      const to = Math.floor((y * height) / map.height) * width + Math.floor((x * width) / map.width);
      const score = map.data[y * map.width + x]!;
      if (by === 'sum') data[to]! += score;
      else if (Math.abs(score) > Math.abs(data[to]!)) data[to] = score;
    }
  return { width, height, data };
}
