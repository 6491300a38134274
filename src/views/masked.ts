import type { ImageScores } from './image-map.ts';
import { shareAt } from './image-map.ts';
import type { RgbPicture, RgbaImage } from './image-overlay.ts';

/** Grey of what is hidden. */
const HIDDEN = 128;

/**
 * The picture as far as it speaks for the answer: seen in full where the score is at the scale's limit, grey where it is 0 or
 * below, in between by its share of the limit. `crop` is where the map lies in the picture; beside it nothing is seen.
 */
export function maskedImage(
  picture: RgbPicture,
  scores: ImageScores,
  crop: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
): RgbaImage {
  const { width, height } = picture;
  const data = new Uint8Array(width * height * 4);
  const shareOf = shareAt(scores, crop);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const score = shareOf(x, y);
      const share = Number.isFinite(score) ? Math.max(0, Math.min(1, score)) : 0;
      for (const c of [0, 1, 2] as const)
        data[at * 4 + c] = Math.round(picture.data[at * 3 + c]! * share + HIDDEN * (1 - share));
      data[at * 4 + 3] = 255;
    }
  return { width, height, data };
}
