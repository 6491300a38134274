import type { ImageScores } from './image-map.ts';
import { shareAt } from './image-map.ts';
import type { RgbPicture, RgbaImage } from './image-overlay.ts';

/** Shares of the scale's limit that lines are drawn at. */
const LEVELS = [0.25, 0.5, 0.75];

/**
 * The picture as it is with lines where |score| passes 1/4, 1/2 and 3/4 of the scale's limit: orange for, blue against;
 * stronger lines are higher. `crop` is where the map lies in the picture.
 */
export function contourImage(
  picture: RgbPicture,
  scores: ImageScores,
  crop: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
): RgbaImage {
  const { width, height } = picture;
  const data = new Uint8Array(width * height * 4);
  const shareOf = shareAt(scores, crop);
  const level = (x: number, y: number): number => {
    const share = shareOf(x, y);
    return Math.sign(share) * LEVELS.filter((each) => Math.abs(share) >= each).length;
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const own = level(x, y);
      const beside = [x + 1 < width ? level(x + 1, y) : own, y + 1 < height ? level(x, y + 1) : own];
      const other = beside.find((each) => each !== own);
      const most = other === undefined ? 0 : Math.abs(other) > Math.abs(own) ? other : own;
      const alpha = most === 0 ? 0 : 0.4 + 0.2 * Math.abs(most);
      const colour = most > 0 ? [230, 97, 1] : [33, 102, 172];
      for (const c of [0, 1, 2] as const)
        data[at * 4 + c] = Math.round(picture.data[at * 3 + c]! * (1 - alpha) + colour[c]! * alpha);
      data[at * 4 + 3] = 255;
    }
  return { width, height, data };
}
