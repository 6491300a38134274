import { useEffect, useRef, useState } from 'preact/hooks';
import { formatPercent, imageScores, overlayImage, scaledCrop } from 'onnxray/views';
import type { Explanation } from '../../engine/engine.ts';
import { isCancelled, messageOf, useFrame, useWords } from '../../frame/context.ts';
import { ErrorText } from '../../frame/error-text.tsx';
import { cameraFailure, openCamera } from './camera.ts';
import type { CameraFrame } from './camera.ts';
import { IMAGE_WORDS } from './words.ts';

export const LIVE_METHOD = 'grad-cam';

interface LiveCardProps {
  readonly model: string;
  readonly target: string | undefined;
  /** What the picture is compared with, by models that do. */
  readonly text: string | undefined;
  readonly opacity: number;
  /** Keeps the frame that is shown as a picture of its own. */
  readonly onKeep: (picture: File) => void;
  readonly onStop: () => void;
}

interface Shown extends CameraFrame {
  readonly explanation: Explanation;
  /** From frame to answer. */
  readonly ms: number;
}

/** Grad-CAM over what the camera sees, at the pace of whatever runs the model: a frame is taken when the last was answered. */
export function LiveCard({ model, target, text, opacity, onKeep, onStop }: LiveCardProps) {
  const { engine, jobs } = useFrame();
  const words = useWords(IMAGE_WORDS);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [shown, setShown] = useState<Shown | undefined>();
  const [failure, setFailure] = useState<string | undefined>();
  const asked = useRef({ model, target, text });
  asked.current = { model, target, text };
  const failures = useRef(words.cameraFailures);
  failures.current = words.cameraFailures;

  useEffect(() => {
    const gone = new AbortController();
    let close = (): void => undefined;
    const fail = (message: string): void => {
      if (!gone.signal.aborted) setFailure(message);
      gone.abort();
      close();
    };
    const watch = async (): Promise<void> => {
      const camera = await openCamera(() => fail(failures.current.busy)).catch((error: unknown) => {
        fail(failures.current[cameraFailure(error)]);
        return undefined;
      });
      if (camera === undefined) return;
      close = camera.stop;
      if (gone.signal.aborted) close();
      while (!gone.signal.aborted) {
        const frame = await camera.frame();
        const { text: beside, ...request } = asked.current;
        const subject = { kind: 'picture', data: frame.blob, text: beside } as const;
        const start = performance.now();
        const explanation = await jobs.run(LIVE_METHOD, (control) =>
          engine.explain({ ...request, subject, method: LIVE_METHOD }, control),
        );
        if (!gone.signal.aborted) setShown({ ...frame, explanation, ms: performance.now() - start });
      }
    };
    watch().catch((error: unknown) => {
      if (isCancelled(error)) onStop();
      else fail(messageOf(error));
    });
    return () => {
      gone.abort();
      close();
    };
  }, [engine]);

  useEffect(() => {
    const image = shown?.explanation.image;
    const scores = shown && imageScores(shown.explanation);
    if (canvas.current === null || shown === undefined || image === undefined || scores === undefined) return;
    const drawn = overlayImage(shown.pixels, scores, scaledCrop(image, shown.pixels), opacity);
    canvas.current.width = drawn.width;
    canvas.current.height = drawn.height;
    const pixels = new ImageData(new Uint8ClampedArray(drawn.data), drawn.width, drawn.height);
    canvas.current.getContext('2d')!.putImageData(pixels, 0, 0);
  }, [shown, opacity]);

  const top = shown?.explanation.predictions?.[0];
  const label = shown?.explanation.target.label ?? '';
  return (
    <article class="card live" aria-busy={shown === undefined && failure === undefined} data-method="live">
      <header>
        <h3>{words.live}</h3>
        <div class="exports">
          {shown !== undefined && (
            <button
              type="button"
              class="quiet"
              onClick={() => onKeep(new File([shown.blob], 'camera.jpg', { type: shown.blob.type }))}
            >
              {words.keep}
            </button>
          )}
          <button type="button" class="quiet" onClick={onStop}>
            {words.stopCamera}
          </button>
        </div>
      </header>
      <p class="what">{words.liveHint}</p>
      {failure !== undefined && (
        <p class="notice" role="alert">
          <ErrorText error={failure} />
        </p>
      )}
      {shown === undefined ? (
        failure === undefined && <div class="skeleton tall" role="status" aria-label={words.startingCamera} />
      ) : (
        <>
          <canvas ref={canvas} role="img" aria-label={words.explained(LIVE_METHOD, label)} />
          <p class="readout">
            {top && `${top.label} ${formatPercent(top.value)} · `}
            {words.pace(Math.round(shown.ms))}
          </p>
        </>
      )}
    </article>
  );
}
