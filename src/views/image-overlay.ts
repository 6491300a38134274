import type { ImageContext } from '../explanation/index.ts';
import type { ImageScores, ScoreMap } from './image-map.ts';
import { sample } from './image-map.ts';
import { colorTable, overlayOpacity, position, tableEntry } from './scale.ts';
import type { Scale } from './scale.ts';

/** RGB bytes, row by row: the picture a person gave, after EXIF rotation. */
export interface RgbPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** RGBA bytes, row by row, ready for a PNG or an ImageData. */
export interface RgbaImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A rectangle in pixels of some image. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The picture at display size (longer side at most `side` pixels, never enlarged), by area averaging. */
export function fitPicture(picture: RgbPicture, side: number): RgbPicture {
  const factor = Math.min(1, side / Math.max(picture.width, picture.height));
  if (factor === 1) return picture;
  const width = Math.max(1, Math.round(picture.width * factor));
  const height = Math.max(1, Math.round(picture.height * factor));
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const y0 = Math.floor((y * picture.height) / height);
    const y1 = Math.max(y0 + 1, Math.floor(((y + 1) * picture.height) / height));
    for (let x = 0; x < width; x++) {
      const x0 = Math.floor((x * picture.width) / width);
      const x1 = Math.max(x0 + 1, Math.floor(((x + 1) * picture.width) / width));
      const sum: [number, number, number] = [0, 0, 0];
      for (let v = y0; v < y1; v++)
        for (let u = x0; u < x1; u++) {
          const from = (v * picture.width + u) * 3;
          for (const c of [0, 1, 2] as const) sum[c] += picture.data[from + c]!;
        }
      const count = (y1 - y0) * (x1 - x0);
      for (const c of [0, 1, 2] as const) data[(y * width + x) * 3 + c] = Math.round(sum[c] / count);
    }
  }
  return { width, height, data };
}

/** Where the model's input lies in a picture drawn at another size. */
export function scaledCrop(context: ImageContext, size: { readonly width: number; readonly height: number }): Box {
  const fx = size.width / context.width;
  const fy = size.height / context.height;
  return {
    x: context.crop.x * fx,
    y: context.crop.y * fy,
    width: context.crop.width * fx,
    height: context.crop.height * fy,
  };
}

/** Where the box that is explained lies in a picture drawn at another size. */
export function scaledBox(
  context: ImageContext,
  size: { readonly width: number; readonly height: number },
): Box | undefined {
  return context.box && scaledCrop({ ...context, crop: context.box }, size);
}

/** The picture as it is; what lies outside the crop is dimmed and the crop outlined, when it is not everything. */
export function originalImage(picture: RgbPicture, crop: Box, box?: Box): RgbaImage {
  const data = new Uint8Array(picture.width * picture.height * 4);
  const whole = coversAll(crop, picture);
  for (let y = 0; y < picture.height; y++)
    for (let x = 0; x < picture.width; x++) {
      const i = y * picture.width + x;
      const dim = whole || inside(crop, x, y) ? 0 : 0.55;
      for (const c of [0, 1, 2] as const) data[i * 4 + c] = picture.data[i * 3 + c]! * (1 - dim) + 255 * dim;
      data[i * 4 + 3] = 255;
    }
  const image = { width: picture.width, height: picture.height, data };
  if (!whole) outline(image, crop);
  if (box !== undefined) outline(image, box);
  return image;
}

/**
 * Scores over the picture: the picture in pale grey, the score's colour with an opacity that grows with |score| up
 * to 0.9 times `opacity` (default 1) at the limit. Outside the crop the picture is dimmed: the model did not see it.
 */
export function overlayImage(picture: RgbPicture, scores: ImageScores, crop: Box, opacity = 1, box?: Box): RgbaImage {
  const { width, height } = picture;
  const table = colorTable(scores.scale.kind, 'overlay');
  const data = new Uint8Array(width * height * 4);
  const whole = coversAll(crop, picture);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const seen = inside(crop, x, y);
      const grey = 0.299 * picture.data[i * 3]! + 0.587 * picture.data[i * 3 + 1]! + 0.114 * picture.data[i * 3 + 2]!;
      const paper = seen ? 60 + grey * 0.74 : 255 - (255 - grey) * 0.3;
      const t = seen
        ? position(scores.scale, sample(scores.map, (x + 0.5 - crop.x) / crop.width, (y + 0.5 - crop.y) / crop.height))
        : 0;
      // NaN is drawn as the picture without colour; the legend counts it.
      const alpha = opacity * overlayOpacity(t);
      const entry = tableEntry(t) * 3;
      for (const c of [0, 1, 2] as const) data[i * 4 + c] = Math.round(paper * (1 - alpha) + table[entry + c]! * alpha);
      data[i * 4 + 3] = 255;
    }
  const image = { width, height, data };
  if (!whole) outline(image, crop);
  if (box !== undefined) outline(image, box);
  return image;
}

/** Pictures from left to right on white, with a gap of a fiftieth of the first one's width. */
export function besideOneAnother(images: readonly RgbaImage[]): RgbaImage {
  const gap = Math.max(2, Math.round((images[0]?.width ?? 0) / 50));
  const width = images.reduce((sum, image) => sum + image.width + gap, -gap);
  const height = Math.max(...images.map((image) => image.height));
  const data = new Uint8Array(width * height * 4).fill(255);
  let left = 0;
  for (const image of images) {
    for (let y = 0; y < image.height; y++) {
      const row = image.data.subarray(y * image.width * 4, (y + 1) * image.width * 4);
      data.set(row, (y * width + left) * 4);
    }
    left += image.width + gap;
  }
  return { width, height, data };
}

/** Scores alone: one pixel per score, enlarged by whole factors to at least `side` pixels (default: not enlarged). */
export function heatImage(map: ScoreMap, scale: Scale, side = 0): RgbaImage {
  const table = colorTable(scale.kind, 'heat');
  const factor = Math.max(1, Math.ceil(side / Math.max(map.width, map.height)));
  const [width, height] = [map.width * factor, map.height * factor];
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const t = position(scale, map.data[Math.floor(y / factor) * map.width + Math.floor(x / factor)]!);
      const to = (y * width + x) * 4;
      const entry = tableEntry(t) * 3;
      for (const c of [0, 1, 2] as const) data[to + c] = Number.isNaN(t) ? 128 : table[entry + c]!;
      data[to + 3] = 255;
    }
  return { width, height, data };
}

export function inside(box: Box, x: number, y: number): boolean {
  return x + 0.5 >= box.x && x + 0.5 < box.x + box.width && y + 0.5 >= box.y && y + 0.5 < box.y + box.height;
}

export function coversAll(box: Box, size: { readonly width: number; readonly height: number }): boolean {
  return (
    box.x <= 0.5 && box.y <= 0.5 && box.x + box.width >= size.width - 0.5 && box.y + box.height >= size.height - 0.5
  );
}

/** A line of one dark and one light pixel, visible on every picture. */
export function outline(image: RgbaImage, box: Box): void {
  const [left, top] = [Math.round(box.x), Math.round(box.y)];
  const [right, bottom] = [Math.round(box.x + box.width) - 1, Math.round(box.y + box.height) - 1];
  for (const [inset, shade] of [
    [0, 30],
    [1, 250],
  ] as const) {
    const [x0, y0, x1, y1] = [left + inset, top + inset, right - inset, bottom - inset];
    for (let x = x0; x <= x1; x++) for (const y of [y0, y1]) dot(image, x, y, shade);
    for (let y = y0; y <= y1; y++) for (const x of [x0, x1]) dot(image, x, y, shade);
  }
}

function dot({ width, height, data }: RgbaImage, x: number, y: number, shade: number): void {
  if (x >= 0 && y >= 0 && x < width && y < height) data.fill(shade, (y * width + x) * 4, (y * width + x) * 4 + 3);
}
