/** Picture files in Node: PNG, JPEG and WebP through sharp. The one module of this room that touches files. */
import path from 'node:path';
import type { Metadata, Sharp } from 'sharp';
import { UserError } from '../onnx/index.ts';
import { planImage } from './image-plan.ts';
import { PIXEL_LIMIT, checkSize, encodePixels, pixelsOfRgba } from './picture.ts';
import type { ImageEncoder, ImageSource } from './picture.ts';
import type { Pixels } from './resample.ts';

const FORMATS: ReadonlySet<string> = new Set(['png', 'jpeg', 'webp']);

/**
 * Reads a picture and makes the model's input of it; see `planImage` for how preprocessor_config.json is understood.
 *
 * EXIF rotation is applied, transparency laid on white, grey and 16 bits made 8-bit RGB, colour profiles left aside (as
 * Pillow does). Resizing equals Pillow's in every byte; only JPEG decoding may differ from Pillow's by a level or two.
 * Pixels may be given instead of a file.
 * @throws UserError when there is no such file, it is broken, not PNG, JPEG or WebP, or has over 40 megapixels.
 */
export const encodeImage: ImageEncoder = async (source, inputs, config) => {
  planImage(inputs, config);
  const encoding = encodePixels(await readImage(source), inputs, config);
  return typeof source === 'string' ? { ...encoding, path: source } : encoding;
};

/** The picture as 8-bit RGB, upright; see `encodeImage` for what is refused. */
export async function readImage(source: ImageSource): Promise<Pixels> {
  if (typeof source !== 'string' && 'width' in source) return 'channels' in source ? source : pixelsOfRgba(source);
  return readFile(source instanceof Blob ? new Uint8Array(await source.arrayBuffer()) : source);
}

async function readFile(source: string | Uint8Array): Promise<Pixels> {
  const name = typeof source === 'string' ? path.basename(source) : 'the picture';
  const { default: sharp } = await import('sharp');
  const open = (limitInputPixels: number | false): Sharp =>
    sharp(source, { limitInputPixels, failOn: 'error', ignoreIcc: true });
  let metadata: Metadata;
  try {
    metadata = await open(false).metadata();
  } catch (error) {
    throw unreadable(name, error);
  }
  const { format, width, height } = metadata;
  if (!FORMATS.has(format))
    throw new UserError(`${name} is ${format.toUpperCase()}; PNG, JPEG and WebP pictures are supported`);
  checkSize(name, width, height);
  try {
    const { data, info } = await open(PIXEL_LIMIT)
      .autoOrient()
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, channels: 3, data: toRgb(data, info.channels) };
  } catch (error) {
    throw unreadable(name, error);
  }
}

function toRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.length);
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  for (let at = 0; at < pixels; at++)
    for (let c = 0; c < 3; c++) rgb[at * 3 + c] = data[at * channels + (channels < 3 ? 0 : c)]!;
  return rgb;
}

function unreadable(name: string, error: unknown): UserError {
  const reason = error instanceof Error ? error.message : String(error);
  if (/missing|no such file/i.test(reason)) return new UserError(`there is no picture ${name}`, { cause: error });
  if (/unsupported image format/i.test(reason))
    return new UserError(`${name} is not a picture that can be read; PNG, JPEG and WebP are supported`, {
      cause: error,
    });
  return new UserError(`${name} is broken: ${reason.split('\n')[0]!.trim()}`, { cause: error });
}
