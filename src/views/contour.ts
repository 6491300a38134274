import type { ImageScores } from './image-map.ts';
import { shareAt } from './image-map.ts';
import { coversAll, inside, outline } from './image-overlay.ts';
import type { Box, RgbPicture, RgbaImage } from './image-overlay.ts';

/** Shares of the scale's limit that lines are drawn at. */
const LEVELS = [0.25, 0.5, 0.75];

/**
 * The picture as it is with lines where |score| passes 1/4, 1/2 and 3/4 of the scale's limit: orange for, blue against;
 * stronger lines are higher. `crop` is where the map lies in the picture, outlined where that is not everything.
 */
export function contourImage(picture: RgbPicture, scores: ImageScores, crop: Box): RgbaImage {
  const { width, height } = picture;
  const data = new Uint8Array(width * height * 4);
  const shareOf = shareAt(scores, crop);
  const levels = new Int8Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const share = shareOf(x, y);
      levels[y * width + x] = inside(crop, x, y)
        ? Math.sign(share) * LEVELS.filter((each) => Math.abs(share) >= each).length
        : OUTSIDE;
    }
  // Wider where the picture is larger, so that lines are seen at the same size.
  const reach = Math.max(1, Math.round(Math.max(width, height) / 250));
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const most = lineAt(levels, { width, height }, x, y, reach);
      // A light edge beside it keeps a line apart from a picture of its own colour.
      const edge = most === 0 && lineAt(levels, { width, height }, x, y, -1) !== 0;
      const alpha = edge ? 0.7 : most === 0 ? 0 : 0.55 + 0.15 * Math.abs(most);
      const colour = edge ? [255, 255, 255] : most > 0 ? [230, 97, 1] : [33, 102, 172];
      for (const c of [0, 1, 2] as const)
        data[at * 4 + c] = Math.round(picture.data[at * 3 + c]! * (1 - alpha) + colour[c]! * alpha);
      data[at * 4 + 3] = 255;
    }
  const image = { width, height, data };
  if (!coversAll(crop, picture)) outline(image, crop);
  return image;
}

/** Beside the map there are no scores, and no line where it ends. */
const OUTSIDE = 100;

/** The higher level of a line through a pixel, from which it is `reach` pixels to the left and up (below 0: right and down); 0 for none. */
function lineAt(
  levels: Int8Array,
  { width, height }: { readonly width: number; readonly height: number },
  x: number,
  y: number,
  reach: number,
): number {
  const own = levels[y * width + x]!;
  if (own === OUTSIDE) return 0;
  const way = Math.sign(reach);
  for (let step = 1; step <= Math.abs(reach); step++)
    for (const [u, v] of [
      [x + way * step, y],
      [x, y + way * step],
    ] as const) {
      const other = u >= 0 && u < width && v >= 0 && v < height ? levels[v * width + u]! : own;
      if (other !== own && other !== OUTSIDE) return Math.abs(other) > Math.abs(own) ? other : own;
    }
  return 0;
}
