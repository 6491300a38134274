/** Whether a map lies on the object it should: on pictures whose object is known. */
import type { Scores } from '../explanation/index.ts';

/** Where the object is, row by row: 1 on it, 0 elsewhere. */
export interface Mask {
  readonly height: number;
  readonly width: number;
  readonly data: Uint8Array;
}

/**
 * Pointing game: whether the largest score lies on the object. Scores as `planeScores` gives them, of the mask's size.
 * Zhang et al. 2018, https://arxiv.org/abs/1608.00507; without the tolerance of 15 pixels some add.
 */
export function pointsAt(scores: ArrayLike<number>, mask: Mask): boolean {
  let best = 0;
  for (let at = 1; at < scores.length; at++) if (scores[at]! > scores[best]!) best = at;
  return mask.data[best] === 1;
}

/**
 * Relevance mass: the object's share of all positive scores; 0 where there are none.
 * Arras, Osman & Samek 2022, https://arxiv.org/abs/2003.07258.
 */
export function relevanceMass(scores: ArrayLike<number>, mask: Mask): number {
  let [inside, all] = [0, 0];
  for (let at = 0; at < scores.length; at++) {
    const score = Math.max(0, scores[at]!);
    all += score;
    if (mask.data[at] === 1) inside += score;
  }
  return all === 0 ? 0 : inside / all;
}

/**
 * Scores as one number for each pixel: channels of an input [1, C, H, W] summed; a map [1, h, w] enlarged bilinearly.
 * `absolute`: by size.
 */
export function planeScores({ dims, data }: Scores, height: number, width: number, absolute = false): Float64Array {
  const result = new Float64Array(height * width);
  const [rows, columns] = dims.slice(-2) as [number, number];
  const size = (value: number) => (absolute ? Math.abs(value) : value);
  if (rows === height && columns === width) {
    for (let at = 0; at < data.length; at++) result[at % result.length]! += size(data[at]!);
    return result;
  }
  const place = (at: number, length: number, cells: number) => {
    const exact = Math.min(cells - 1, Math.max(0, ((at + 0.5) * cells) / length - 0.5));
    const first = Math.floor(exact);
    return [first, Math.min(cells - 1, first + 1), exact - first] as const;
  };
  for (let y = 0; y < height; y++) {
    const [top, bottom, down] = place(y, height, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, along] = place(x, width, columns);
      const row = (at: number) => (1 - along) * data[at * columns + left]! + along * data[at * columns + right]!;
      result[y * width + x] = size((1 - down) * row(top) + down * row(bottom));
    }
  }
  return result;
}
