import type { ImageScores } from 'onnxray/views';
import type { Explanation } from '../../engine/engine.ts';
import type { PictureBox } from './box.ts';

type Image = NonNullable<Explanation['image']>;

/** Share of what the model sees that lies in the box, 0 to 1. */
export function boxArea(box: PictureBox, image: Image): number {
  const { x, y, right, bottom } = inMap(box, image);
  return Math.max(0, right - x) * Math.max(0, bottom - y);
}

/** Sum of the scores of cells whose centres lie in the box, and the sum of their sizes over that of all. */
export function boxScores(
  box: PictureBox,
  image: Image,
  { map }: ImageScores,
): { readonly sum: number; readonly share: number } {
  const { x, y, right, bottom } = inMap(box, image);
  let [sum, size, all] = [0, 0, 0];
  for (let row = 0; row < map.height; row++)
    for (let column = 0; column < map.width; column++) {
      const score = map.data[row * map.width + column]!;
      all += Math.abs(score);
      const [u, v] = [(column + 0.5) / map.width, (row + 0.5) / map.height];
      if (u < x || u >= right || v < y || v >= bottom) continue;
      sum += score;
      size += Math.abs(score);
    }
  return { sum, share: all > 0 ? size / all : 0 };
}

/** The box in fractions of the part the model sees. */
function inMap(
  box: PictureBox,
  { width, height, crop }: Image,
): { x: number; y: number; right: number; bottom: number } {
  const u = (value: number): number => Math.min(1, Math.max(0, (value * width - crop.x) / crop.width));
  const v = (value: number): number => Math.min(1, Math.max(0, (value * height - crop.y) / crop.height));
  return { x: u(box.left), y: v(box.top), right: u(box.right), bottom: v(box.bottom) };
}
