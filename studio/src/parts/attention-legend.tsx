import { useEffect, useRef } from 'preact/hooks';
import type { Theme } from 'onnxray/views';
import { probabilityTable } from './attention-pixels.ts';

const STOPS = [0, 0.05, 0.25, 0.5, 1];

/** The colours of probabilities with the places of some of them. */
export function AttentionLegend({ theme, unit }: { readonly theme: Theme; readonly unit: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const image = context.createImageData(256, 1);
    const table = probabilityTable(theme);
    // Drawn evenly in strength, which is the square root of the probability.
    new Uint32Array(image.data.buffer).set(
      Uint32Array.from({ length: 256 }, (_, i) => table[Math.round((i / 255) ** 2 * 255)]!),
    );
    context.putImageData(image, 0, 0);
  }, [theme]);
  return (
    <div class="legend attention-legend">
      <canvas ref={canvas} class="ramp" width="256" height="1" aria-hidden="true" />
      <div class="stops">
        {STOPS.map((stop) => (
          <span key={stop} style={{ left: `${Math.sqrt(stop) * 100}%` }}>
            {stop * 100}%
          </span>
        ))}
      </div>
      <p>{unit}</p>
    </div>
  );
}
