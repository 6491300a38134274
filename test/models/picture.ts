import sharp from 'sharp';
import type { DenseTensor } from '../../src/onnx/index.ts';

/** A picture file as float32 [1, 3, height, width] in [-1, 1]. */
export async function pictureTensor(file: string, height: number, width: number): Promise<DenseTensor> {
  const bytes = await sharp(file).resize(width, height, { fit: 'fill' }).removeAlpha().raw().toBuffer();
  const data = new Float32Array(3 * height * width);
  for (let at = 0; at < bytes.length; at++)
    data[(at % 3) * height * width + Math.floor(at / 3)] = bytes[at]! / 127.5 - 1;
  return { type: 'float32', dims: [1, 3, height, width], data };
}
