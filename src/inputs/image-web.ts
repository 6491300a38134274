/** Pictures in a browser, decoded by it. */
import { UserError } from '../onnx/index.ts';
import { planImage } from './image-plan.ts';
import { checkSize, encodePixels, pixelsOfRgba } from './picture.ts';
import type { ImageEncoder, ImageSource } from './picture.ts';
import type { Pixels } from './resample.ts';

/**
 * Reads a picture and makes the model's input of it, as the one for Node does: only the decoder is another. Its JPEG values
 * may differ from sharp's by a level or two of 255; PNG and lossless WebP are equal.
 */
export const encodeImage: ImageEncoder = async (source, inputs, config) => {
  planImage(inputs, config);
  const encoding = encodePixels(await readImage(source), inputs, config);
  return typeof source === 'string' ? { ...encoding, path: source } : encoding;
};

/**
 * The picture as 8-bit RGB, upright, transparency laid on white.
 * Throws a UserError for what is not there, is no picture, or has over 40 megapixels.
 */
export async function readImage(source: ImageSource): Promise<Pixels> {
  if (typeof source === 'string') return decode(await fetchImage(source), source);
  if (source instanceof Blob) return decode(source, 'the picture');
  if (source instanceof Uint8Array) return decode(new Blob([source as Uint8Array<ArrayBuffer>]), 'the picture');
  return 'channels' in source ? source : pixelsOfRgba(source);
}

async function fetchImage(url: string): Promise<Blob> {
  const response = await fetch(url).catch((error: unknown) => {
    throw new UserError(`cannot load the picture ${url}`, { cause: error });
  });
  if (!response.ok) throw new UserError(`there is no picture ${url}: the server answers ${response.status}`);
  return response.blob();
}

async function decode(blob: Blob, name: string): Promise<Pixels> {
  const bitmap = await createImageBitmap(blob, {
    imageOrientation: 'from-image',
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
  }).catch((error: unknown) => {
    throw new UserError(`${name} is not a picture that this browser can read`, { cause: error });
  });
  try {
    const { width, height } = bitmap;
    checkSize(name, width, height);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (context === null) throw new UserError(`${name} cannot be read: this browser gives no canvas for it`);
    context.drawImage(bitmap, 0, 0);
    return pixelsOfRgba(context.getImageData(0, 0, width, height));
  } finally {
    bitmap.close();
  }
}
