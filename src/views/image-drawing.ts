/** An image explanation as pictures: the given one, the scores over it in one of several ways, and the scores alone. */
import type { Explanation } from '../explanation/index.ts';
import { contourImage } from './contour.ts';
import { imageScores } from './image-map.ts';
import type { ImageScoreOptions, ImageScores } from './image-map.ts';
import {
  besideOneAnother,
  fitPicture,
  heatImage,
  originalImage,
  overlayImage,
  scaledBox,
  scaledCrop,
} from './image-overlay.ts';
import type { RgbPicture, RgbaImage } from './image-overlay.ts';
import { maskedImage } from './masked.ts';
import { sidesOf } from './sides.ts';

/**
 * How scores are drawn over a picture: in colours; as lines where they pass 1/4, 1/2 and 3/4 of the limit; as what is left of it; or in
 * colours with the picture as it is beside it.
 */
export const IMAGE_VIEWS = ['overlay', 'contour', 'masked', 'side-by-side'] as const;
export type ImageView = (typeof IMAGE_VIEWS)[number];

/** A map with its scale, and the picture it lies on where there is one. */
export interface ImageSubject {
  readonly scores: ImageScores;
  readonly picture: RgbPicture | undefined;
}

/**
 * The images of an image explanation, the picture's longer side at most `side` pixels and the heat map's at least
 * `heatSide`; without a picture only the heat map.
 */
export function drawImages(
  explanation: Explanation,
  subject: ImageSubject,
  side = 448,
  heatSide = side,
  view: ImageView = 'overlay',
): { readonly original?: RgbaImage; readonly overlay?: RgbaImage; readonly heat: RgbaImage } {
  const heat = heatImage(subject.scores.map, subject.scores.scale, heatSide);
  if (subject.picture === undefined || explanation.image === undefined) return { heat };
  const picture = fitPicture(subject.picture, side);
  const crop = scaledCrop(explanation.image, picture);
  const box = scaledBox(explanation.image, picture);
  const original = originalImage(picture, crop, box);
  const coloured = () => overlayImage(picture, subject.scores, crop, 1, box);
  switch (view) {
    case 'contour':
      return { original, overlay: contourImage(picture, subject.scores, crop), heat };
    case 'masked':
      return { original, overlay: maskedImage(picture, subject.scores, crop), heat };
    case 'side-by-side':
      return { original, overlay: besideOneAnother([original, coloured()]), heat };
    case 'overlay':
      return { original, overlay: coloured(), heat };
  }
}

/**
 * The scores over the picture alone, without legend, pixel for pixel as large as the picture that is given; undefined where there is no
 * map of scores.
 */
export function imageView(
  explanation: Explanation,
  { picture, view, ...options }: ImageScoreOptions & { readonly picture: RgbPicture; readonly view?: ImageView },
): RgbaImage | undefined {
  const [side] = sidesOf(explanation);
  const scores = imageScores(side!, options);
  return scores && drawImages(side!, { scores, picture }, Infinity, 0, view).overlay;
}
