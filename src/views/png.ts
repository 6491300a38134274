/** Node only: the one place in this room that needs sharp, which is loaded on first use. */
import type { RgbaImage } from './image-overlay.ts';

/** Makes PNG bytes of an image; a browser can pass its own. */
export type PngEncoder = (image: RgbaImage) => Promise<Uint8Array>;

export const encodePng: PngEncoder = async ({ width, height, data }) => {
  const { default: sharp } = await import('sharp');
  return sharp(data, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .png({ compressionLevel: 9 })
    .toBuffer();
};

/** Draws an SVG document, `density` pixels to the user unit (default 2). */
export async function svgToPng(svg: string, density = 2): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  return sharp(Buffer.from(svg), { density: 72 * density, limitInputPixels: 268_402_689 })
    .png()
    .toBuffer();
}

/** `data:image/png;base64,...` */
export function dataUri(png: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < png.length; i += 0x8000) binary += String.fromCharCode(...png.subarray(i, i + 0x8000));
  return `data:image/png;base64,${btoa(binary)}`;
}
