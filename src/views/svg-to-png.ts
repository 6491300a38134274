/** SVG documents to PNG in Node, by sharp, which is loaded on first use. */
import { explanationRenderer } from './render.ts';
import type { Rasterizer } from './png.ts';

export const svgToPng: Rasterizer = async (svg, density = 2) => {
  const { default: sharp } = await import('sharp');
  return sharp(Buffer.from(svg), { density: 72 * density, limitInputPixels: 268_402_689 })
    .png()
    .toBuffer();
};

export const renderExplanation = explanationRenderer(svgToPng);
