import type { RgbPicture } from 'onnxray/views';
import { blank } from './attention-pixels.ts';

/** The longer side pictures are drawn with. */
const SIDE = 448;

/** Decodes a picture upright, at most 448 pixels on its longer side, laid on white. */
export async function decodePicture(blob: Blob): Promise<RgbPicture> {
  const bitmap = await createImageBitmap(blob);
  const factor = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * factor));
  const height = Math.max(1, Math.round(bitmap.height * factor));
  const context = blank(width, height).getContext('2d')!;
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data.set(rgba.subarray(i * 4, i * 4 + 3), i * 3);
  return { width, height, data };
}
