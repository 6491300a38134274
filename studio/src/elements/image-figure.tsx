import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { captionOf, fitPicture, heatImage, imageScores, overlayImage, scaledCrop, subjectOf } from 'onnxray/views';
import type { RgbPicture } from 'onnxray/views';
import type { Explanation } from '../engine/engine.ts';
import { useLook } from '../frame/context.ts';
import { WORDS } from '../frame/words.ts';
import { Judgement } from '../parts/judgement.tsx';
import { ScaleLegend } from '../parts/scale-legend.tsx';
import { decodePicture } from '../parts/picture.ts';

/** An explanation of a picture: over it where its address is given, else the scores alone. */
export function ImageFigure({
  explanation,
  picture: address,
}: {
  readonly explanation: Explanation;
  readonly picture: string | undefined;
}) {
  const { language } = useLook();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [picture, setPicture] = useState<RgbPicture | undefined>();
  const scores = useMemo(() => imageScores(explanation), [explanation]);
  useEffect(() => {
    if (address === undefined) return;
    void fetch(address)
      .then((response) => response.blob())
      .then(decodePicture)
      .then(setPicture, () => undefined);
  }, [address]);
  useEffect(() => {
    if (canvas.current === null || scores === undefined || explanation.image === undefined) return;
    const fitted = picture && fitPicture(picture, 448);
    const image = fitted
      ? overlayImage(fitted, scores, scaledCrop(explanation.image, fitted))
      : heatImage(scores.map, scores.scale, 224);
    canvas.current.width = image.width;
    canvas.current.height = image.height;
    const pixels = new ImageData(new Uint8ClampedArray(image.data), image.width, image.height);
    canvas.current.getContext('2d')!.putImageData(pixels, 0, 0);
  }, [scores, picture]);
  if (scores === undefined) return <p role="alert">{WORDS[language].notPicture}</p>;
  return (
    <figure class="element">
      <figcaption>
        <b>{explanation.method}</b> · {explanation.target.label}
      </figcaption>
      <div class="box-area fixed">
        <canvas ref={canvas} role="img" aria-label={`${explanation.method}: ${explanation.target.label}`} />
      </div>
      <ScaleLegend
        explanation={explanation}
        scale={scores.scale}
        notes={captionOf(explanation, subjectOf(explanation), language)}
      />
      <Judgement explanation={explanation} />
    </figure>
  );
}
