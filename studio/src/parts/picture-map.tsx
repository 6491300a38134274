import { useEffect, useRef } from 'preact/hooks';
import { fitPicture, heatImage, overlayImage, scaledCrop } from 'onnxray/views';
import type { ImageScores, RgbPicture } from 'onnxray/views';
import type { Explanation } from '../engine/engine.ts';

interface PictureMapProps {
  readonly explanation: Explanation;
  readonly scores: ImageScores;
  readonly picture: RgbPicture;
  readonly label: string;
  /** Strength of the colours, 0 to 1. Default 1. */
  readonly opacity?: number;
  /** Scores alone, without the picture. Default no. */
  readonly heat?: boolean;
}

/** Scores over the picture they are of. */
export function PictureMap({ explanation, scores, picture, label, opacity = 1, heat = false }: PictureMapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (canvas.current === null || explanation.image === undefined) return;
    const fitted = fitPicture(picture, 448);
    const image = heat
      ? heatImage(scores.map, scores.scale, 224)
      : overlayImage(fitted, scores, scaledCrop(explanation.image, fitted), opacity);
    canvas.current.width = image.width;
    canvas.current.height = image.height;
    const pixels = new ImageData(new Uint8ClampedArray(image.data), image.width, image.height);
    canvas.current.getContext('2d')!.putImageData(pixels, 0, 0);
  }, [explanation, scores, picture, opacity, heat]);
  return <canvas class="picture-map" ref={canvas} role="img" aria-label={label} />;
}
