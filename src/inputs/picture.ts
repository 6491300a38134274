/** Pixels that somebody decoded, to the model's input; who decodes files is up to image.ts (Node) and image-web.ts. */
import { UserError } from '../onnx/index.ts';
import type { ValueInfo } from '../onnx/index.ts';
import { planImage } from './image-plan.ts';
import { preprocess } from './preprocess.ts';
import type { ImageEncoding } from './preprocess.ts';
import { resample } from './resample.ts';
import type { Pixels } from './resample.ts';

/** The most pixels a picture may have. */
export const PIXEL_LIMIT = 40_000_000;
const PREVIEW_SIDE = 1024;

/** Four bytes a pixel, as a canvas gives them (`ImageData`); colours not multiplied with alpha. */
export interface RgbaPixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/**
 * A picture: where it is (a path in Node, a URL in a browser), the bytes of a PNG, JPEG or WebP file (in a browser also as
 * a `Blob`), or pixels.
 */
export type ImageSource = string | Uint8Array | Blob | Pixels | RgbaPixels;

/** An encoded picture with what is needed to draw on it. */
export interface ImageFileEncoding extends ImageEncoding {
  /** Where it came from; absent when bytes or pixels were given. */
  readonly path?: string;
  /** The picture in RGB, at most 1024 pixels on its longer side. */
  readonly preview: Pixels;
}

/** Makes a model's input of a picture; `config` is the parsed preprocessor_config.json. */
export type ImageEncoder = (
  source: ImageSource,
  inputs: readonly ValueInfo[],
  config?: unknown,
) => Promise<ImageFileEncoding>;

/**
 * Makes the model's input of 8-bit RGB pixels; see `planImage` for how preprocessor_config.json is understood. Every step
 * is our own arithmetic and equals Pillow's, so the same pixels give the same bytes in Node and in every browser.
 * @param inputs what the model declares.
 * @param config parsed preprocessor_config.json.
 */
export function encodePixels(image: Pixels, inputs: readonly ValueInfo[], config?: unknown): ImageFileEncoding {
  checkSize('the picture', image.width, image.height);
  return { ...preprocess(image, planImage(inputs, config)), preview: previewOf(image) };
}

function previewOf(image: Pixels): Pixels {
  const factor = PREVIEW_SIDE / Math.max(image.width, image.height);
  if (factor >= 1) return image;
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * factor)));
  return resample(image, width!, height!, 'box');
}

/** RGB of pixels with alpha: what is transparent is laid on white. */
export function pixelsOfRgba({ width, height, data }: RgbaPixels): Pixels {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const alpha = data[from + 3]!;
    for (let c = 0; c < 3; c++) rgb[to++] = Math.round((data[from + c]! * alpha + 255 * (255 - alpha)) / 255);
  }
  return { width, height, channels: 3, data: rgb };
}

/** Throws a UserError for a picture of more than 40 megapixels. */
export function checkSize(name: string, width: number, height: number): void {
  if (width * height > PIXEL_LIMIT)
    throw new UserError(
      `${name} is ${width}x${height}, ${(width * height * 1e-6).toFixed(1)} megapixels; the limit is ${PIXEL_LIMIT / 1e6} megapixels: scale it down`,
    );
}
