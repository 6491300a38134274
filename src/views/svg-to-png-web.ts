/** SVG documents to PNG in a browser, on a page: Workers have no images to draw. */
import { UserError } from '../onnx/index.ts';
import { explanationRenderer } from './render.ts';
import type { Rasterizer } from './png.ts';

export const svgToPng: Rasterizer = async (svg, density = 2) => {
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = Math.round(image.naturalWidth * density);
    canvas.height = Math.round(image.naturalHeight * density);
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (blob === null) throw new UserError('this browser cannot make a PNG of the drawing');
    return new Uint8Array(await blob.arrayBuffer());
  } finally {
    URL.revokeObjectURL(url);
  }
};

export const renderExplanation = explanationRenderer(svgToPng);
